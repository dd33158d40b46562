// What a front end loads of a table: a view for each place where it is shown.

export default () => ({
  initialize() {
    return () => {};
  },
  render({ model, el }) {
    const view = new RowsView(model, el);
    return () => view.close();
  },
});
