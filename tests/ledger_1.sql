BEGIN TRANSACTION;
CREATE TABLE attempts (
  batch_id TEXT NOT NULL,
  instance INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  status INTEGER,
  status_category TEXT,
  status_meaning TEXT,
  detail TEXT NOT NULL,
  source TEXT NOT NULL,
  sop_class_uid TEXT,
  sop_class_name TEXT,
  sop_instance_uid TEXT,
  study_instance_uid TEXT,
  series_instance_uid TEXT,
  modality TEXT,
  size_bytes INTEGER,
  transfer_syntax TEXT,
  sent_transfer_syntax TEXT,
  calling_aet TEXT NOT NULL,
  called_aet TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  association INTEGER,
  started_at TEXT,
  duration_ms REAL,
  response_ms REAL,
  fingerprint TEXT,
  PRIMARY KEY (batch_id, instance, attempt)
);
INSERT INTO "attempts" VALUES('2076825e-e71b-4a90-84eb-ca2f88c0305c',0,1,'refused',42752,'Failure','Refused: Out of Resources','Refused: Out of Resources: The peer''s storage is full or busy. Free space or load at the peer, then send the instance again.','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T09:50:15.264830+00:00',2.8736229999140050495e+00,2.71085999997922044713e+00,'sha256:ff0adc07f3345bc693788fd4cfb2c0979c1bbf74206e68a29a4cf9b87c277417');
INSERT INTO "attempts" VALUES('2076825e-e71b-4a90-84eb-ca2f88c0305c',1,1,'stored',0,'Success','Success','the peer stored it','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000001','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T09:50:15.267724+00:00',2.95850899988181481603e+00,2.93211999996856320649e+00,'sha256:c993466267bd7e31abd72edc89215f073ac9210160f9641e15749cf79c37097a');
INSERT INTO "attempts" VALUES('2076825e-e71b-4a90-84eb-ca2f88c0305c',0,2,'stored',0,'Success','Success','the peer stored it','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T09:50:15.585138+00:00',3.48072499991758377291e+00,3.42544299996916379313e+00,'sha256:ff0adc07f3345bc693788fd4cfb2c0979c1bbf74206e68a29a4cf9b87c277417');
INSERT INTO "attempts" VALUES('14dccaf2-6160-4c11-a4c6-dfdf5a24993c',0,1,'skipped',NULL,NULL,NULL,'this peer stored it before, on 2026-11-29 at 09:50:15 UTC in batch 2076825e-e71b-4a90-84eb-ca2f88c0305c; resume=False sends it again','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',NULL,'1.2.840.10008.1.2.1',NULL,'DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('14dccaf2-6160-4c11-a4c6-dfdf5a24993c',1,1,'skipped',NULL,NULL,NULL,'this peer stored it before, on 2026-11-29 at 09:50:15 UTC in batch 2076825e-e71b-4a90-84eb-ca2f88c0305c; resume=False sends it again','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000001','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',NULL,'1.2.840.10008.1.2.1',NULL,'DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('14dccaf2-6160-4c11-a4c6-dfdf5a24993c',2,1,'failed',290,'Failure','Refused: SOP Class not supported','Refused: SOP Class not supported: Switch this SOP Class on in the peer''s configuration, or send it to a peer that takes it.','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000002','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T09:50:15.603687+00:00',2.49684200002775469329e+00,2.45789499990678450558e+00,'sha256:ded7e4e3a9bba4ab68fad25c839a0681802faccbc8f35727762fa4f633ecf3c4');
CREATE TABLE batches (
  batch_id TEXT NOT NULL PRIMARY KEY,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  calling_aet TEXT NOT NULL,
  called_aet TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  setting_id TEXT NOT NULL,
  setting_name TEXT NOT NULL,
  dicomkit_version TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  instances INTEGER NOT NULL DEFAULT 0,
  stored INTEGER NOT NULL DEFAULT 0,
  skipped INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  interrupted INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "batches" VALUES('2076825e-e71b-4a90-84eb-ca2f88c0305c','2026-11-29T09:50:15.256423+00:00','2026-11-29T09:50:15.591944+00:00','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,'b23aae35-f974-4caa-9627-95a280ee62fc','Local SCP ANY_SCP','0.1.0',3,2,2,0,0,0);
INSERT INTO "batches" VALUES('14dccaf2-6160-4c11-a4c6-dfdf5a24993c','2026-11-29T09:50:15.596133+00:00','2026-11-29T09:50:15.608934+00:00','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,'8d9b3fa5-0a4b-49d3-a345-ef3febb74788','Local SCP ANY_SCP','0.1.0',3,3,0,2,1,0);
CREATE TABLE verifications (
  batch_id TEXT NOT NULL,
  instance INTEGER NOT NULL,
  verified TEXT NOT NULL,
  verified_by TEXT NOT NULL,
  verified_at TEXT NOT NULL,
  verify_detail TEXT NOT NULL,
  transaction_uid TEXT,
  sop_instance_uid TEXT,
  called_aet TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL
);
INSERT INTO "verifications" VALUES('2076825e-e71b-4a90-84eb-ca2f88c0305c',0,'no','find','2030-01-01T00:00:00.000000+00:00','not found',NULL,'1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','ANY_SCP','127.0.0.1',41112);
CREATE INDEX stored_instances ON attempts (sop_instance_uid) WHERE outcome IN ('stored', 'stored_with_warning');
CREATE INDEX verifications_of_a_row ON verifications (batch_id, instance);
CREATE INDEX verifications_of_an_instance ON verifications (sop_instance_uid);
COMMIT;
