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
INSERT INTO "attempts" VALUES('813e7584-8473-4a22-a0db-436e2ee7a2a3',0,1,'refused',42752,'Failure','Refused: Out of Resources','Refused: Out of Resources: The peer''s storage is full or busy. Free space or load at the peer, then send the instance again.','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T10:15:40.006423+00:00',2.58404200030781794339e+00,2.53262600017478689551e+00,'sha256:ff0adc07f3345bc693788fd4cfb2c0979c1bbf74206e68a29a4cf9b87c277417');
INSERT INTO "attempts" VALUES('813e7584-8473-4a22-a0db-436e2ee7a2a3',1,1,'stored',0,'Success','Success','the peer stored it','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1387420489','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T10:15:40.009029+00:00',2.69669999988764175213e+00,2.67277400007515097968e+00,'sha256:8df9368c6fdf5b056813e774693e56bc39c77e5322352b6e64c48497f63424dd');
INSERT INTO "attempts" VALUES('813e7584-8473-4a22-a0db-436e2ee7a2a3',0,2,'stored',0,'Success','Success','the peer stored it','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T10:15:40.449024+00:00',2.3033849997773359064e+00,2.20710199982931953854e+00,'sha256:ff0adc07f3345bc693788fd4cfb2c0979c1bbf74206e68a29a4cf9b87c277417');
INSERT INTO "attempts" VALUES('4246b5fd-45c9-4105-adc7-3c6e7a0304f7',0,1,'skipped',NULL,NULL,NULL,'this peer stored it before, on 2026-11-29 at 10:15:40 UTC in batch 813e7584-8473-4a22-a0db-436e2ee7a2a3; resume=False sends it again','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',NULL,'1.2.840.10008.1.2.1',NULL,'DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('4246b5fd-45c9-4105-adc7-3c6e7a0304f7',1,1,'skipped',NULL,NULL,NULL,'this peer stored it before, on 2026-11-29 at 10:15:40 UTC in batch 813e7584-8473-4a22-a0db-436e2ee7a2a3; resume=False sends it again','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1387420489','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',NULL,'1.2.840.10008.1.2.1',NULL,'DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('4246b5fd-45c9-4105-adc7-3c6e7a0304f7',2,1,'failed',290,'Failure','Refused: SOP Class not supported','Refused: SOP Class not supported: Switch this SOP Class on in the peer''s configuration, or send it to a peer that takes it.','<bytes>','1.2.840.10008.5.1.4.1.1.2','CT Image Storage','1.2.826.0.1.3680043.8.498.2026.1.1.1774840978','1.2.826.0.1.3680043.8.498.2026.1','1.2.826.0.1.3680043.8.498.2026.1.1','CT',8892,'1.2.840.10008.1.2.1','1.2.840.10008.1.2.1','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,1,'2026-11-29T10:15:40.467897+00:00',3.22153899969634949229e+00,3.14914299997326452285e+00,'sha256:96e3a97abf4f10e25600ac3b1f794d4793b9212bb04314e23124f59f31c3f7e5');
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
INSERT INTO "batches" VALUES('813e7584-8473-4a22-a0db-436e2ee7a2a3','2026-11-29T10:15:39.996994+00:00','2026-11-29T10:15:40.455090+00:00','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,'e1408cd2-c439-4bf7-a738-f2b4eba3409f','Local SCP ANY_SCP','0.1.0',3,2,2,0,0,0);
INSERT INTO "batches" VALUES('4246b5fd-45c9-4105-adc7-3c6e7a0304f7','2026-11-29T10:15:40.459708+00:00','2026-11-29T10:15:40.473985+00:00','DICOMKIT_SCU','ANY_SCP','127.0.0.1',41112,'4e63dc9a-1c97-4023-9c40-789ee1a34514','Local SCP ANY_SCP','0.1.0',3,3,0,2,1,0);
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
INSERT INTO "verifications" VALUES('813e7584-8473-4a22-a0db-436e2ee7a2a3',0,'no','find','2030-01-01T00:00:00.000000+00:00','not found',NULL,'1.2.826.0.1.3680043.8.498.2026.1.1.1000000000','ANY_SCP','127.0.0.1',41112);
CREATE INDEX stored_instances ON attempts (sop_instance_uid) WHERE outcome IN ('stored', 'stored_with_warning');
CREATE INDEX verifications_of_a_row ON verifications (batch_id, instance);
CREATE INDEX verifications_of_an_instance ON verifications (sop_instance_uid);
COMMIT;
