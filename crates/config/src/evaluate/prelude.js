// Runs first, and alone: what it captures here cannot be changed by expressions.
(function (data) {
  'use strict';
  const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, keys, prototype } = Object;
  const isArray = Array.isArray;
  const asText = String, AnyError = Error, WrongType = TypeError;
  const stringify = JSON.stringify;
  const states = [], values = [], faults = [], runs = [], stack = [];
  let asked = 0;

  class Fault {
    constructor(at, message, cycle) {
      this.at = at;
      this.message = message;
      this.cycle = cycle;
    }
  }

  function describe(thrown) {
    if (thrown instanceof AnyError) return thrown.name + ': ' + thrown.message;
    return 'it throws ' + typeof thrown;
  }

  // Not asked yet -> being evaluated -> has a value, or a fault.
  function force(id) {
    if (states[id] === 2) return values[id];
    if (states[id] === 3) throw faults[id];
    if (states[id] === 1) {
      let at = 0;
      while (stack[at] !== id) at += 1;
      const cycle = [];
      for (; at < stack.length; at += 1) cycle[cycle.length] = stack[at];
      throw new Fault(id, 'cycle', cycle);
    }
    states[id] = 1;
    stack[stack.length] = id;
    try {
      values[id] = runs[id]();
      states[id] = 2;
      return values[id];
    } catch (thrown) {
      faults[id] = thrown instanceof Fault ? thrown : new Fault(id, describe(thrown));
      states[id] = 3;
      throw faults[id];
    } finally {
      stack.length -= 1;
    }
  }

  function text(value) {
    if (value === undefined) asked += 1;
    if (typeof value === 'function' || typeof value === 'symbol') throw new WrongType('gives a ' + typeof value);
    if (typeof value === 'number' && value !== value) throw new WrongType('gives NaN');
    if (typeof value === 'object' && value !== null && !isArray(value)) {
      throw new WrongType('gives a mapping in the middle of a text');
    }
    return asText(value);
  }

  function plain(value, depth) {
    if (depth > 60) throw new WrongType('gives something nested too deeply, or within itself');
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        if (value !== value || value === Infinity || value === -Infinity) throw new WrongType('gives ' + value);
        return value;
      case 'undefined':
        asked += 1;
        return null;
      case 'object': {
        if (value === null) return null;
        if (isArray(value)) {
          const copy = [];
          for (let at = 0; at < value.length; at += 1) copy[at] = plain(value[at], depth + 1);
          return copy;
        }
        const parent = getPrototypeOf(value);
        if (parent !== prototype && parent !== null) throw new WrongType('gives an object that is no plain mapping');
        const copy = {};
        const names = keys(value);
        for (let at = 0; at < names.length; at += 1) {
          defineProperty(copy, names[at], {
            value: plain(value[names[at]], depth + 1), enumerable: true, configurable: true, writable: true,
          });
        }
        return copy;
      }
      default:
        throw new WrongType('gives a ' + typeof value);
    }
  }

  function harden(value) {
    if (typeof value !== 'object' || value === null) return;
    const names = keys(value);
    for (let at = 0; at < names.length; at += 1) {
      const property = getOwnPropertyDescriptor(value, names[at]);
      if (property && 'value' in property) harden(property.value);
    }
    freeze(value);
  }

  return {
    // A template at a path; its pieces are texts and functions.
    install(id, path, pieces) {
      let parent = data;
      for (let at = 0; at + 1 < path.length; at += 1) parent = parent[path[at]];
      runs[id] = pieces.length === 1
        ? pieces[0]
        : () => {
          let whole = '';
          for (let at = 0; at < pieces.length; at += 1) {
            whole += typeof pieces[at] === 'string' ? pieces[at] : text(pieces[at]());
          }
          return whole;
        };
      defineProperty(parent, path[path.length - 1], { get: () => force(id), enumerable: true, configurable: false });
    },
    begin() {
      harden(data);
      delete Math.random;
      delete globalThis.eval;
      const names = keys(data);
      for (let at = 0; at < names.length; at += 1) {
        if (names[at] in globalThis) continue;
        const property = getOwnPropertyDescriptor(data, names[at]);
        property.configurable = false;
        defineProperty(globalThis, names[at], property);
      }
      // Shipped defaults ask which security product z/OS has; there is none here.
      if (!('zos' in globalThis)) {
        defineProperty(globalThis, 'zos', { value: freeze({ getEsm: () => 'NONE' }), enumerable: true });
      }
    },
    ask(id) {
      asked = 0;
      try {
        const value = plain(force(id), 0);
        return stringify({ value, undefined: asked > 0 });
      } catch (thrown) {
        const fault = thrown instanceof Fault ? thrown : new Fault(id, describe(thrown));
        return stringify({ at: fault.at, message: fault.message, cycle: fault.cycle });
      }
    },
    // Which template was being evaluated when time or memory ran out.
    current() {
      return stack.length > 0 ? stack[stack.length - 1] : -1;
    },
  };
})
