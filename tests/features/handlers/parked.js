/** Is paused while tasks of it are submitted. */
export default (payload) => ({ payload });
