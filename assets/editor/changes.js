// Who changes something says so here; who saves listens.
const listeners = new Set();

export const onChange = (listener) => listeners.add(listener);
export const changed = () => listeners.forEach((listener) => listener());
