// Loaded before the converter: the same random numbers and the same time in each run, so that its examples are the same
// bytes.
let state = 1;
Math.random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 4294967296;
};

const START = Date.UTC(2026, 0, 1);
globalThis.Date = class extends Date {
  constructor(...words) {
    super(...(words.length ? words : [START]));
  }

  static now() {
    return START;
  }
};
