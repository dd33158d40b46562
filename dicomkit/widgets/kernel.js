// The kernel, as a widget in the browser knows it: messages from it and to it, and that it may be gone.

class Kernel {
  /**
   * `onMessage` gets custom messages with their buffers, `onParting` is called when nobody hears us any more.
   */
  constructor(model, onMessage, onParting) {
    this.model = model;
    this.onMessage = onMessage;
    this.onParting = onParting;
    model.on("msg:custom", onMessage);
    model.on("comm_live_update", onParting); // it was live, so it is no more
  }

  say(message) {
    try {
      this.model.send(message);
    } catch {
      this.onParting();
    }
  }

  close() {
    this.model.off("msg:custom", this.onMessage);
    this.model.off("comm_live_update", this.onParting);
  }
}
