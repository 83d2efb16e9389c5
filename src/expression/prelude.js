// What expressions have beside JSONata itself, and what replaces the engine's own time and randomness. Evaluated after JSONata;
// its value is the function that the program calls once with its own functions, and whose answer it calls for every expression.
(function (host) {
  'use strict';

  const engineDate = Date;
  let now = 0;
  class ContextDate extends engineDate {
    constructor(...parts) {
      if (parts.length === 0) super(now);
      else if (parts.length === 1 && typeof parts[0] === 'string') super(ContextDate.parse(parts[0]));
      else super(...parts);
    }
    static now() { return now; }
    // A time without an offset is UTC, wherever the server stands.
    static parse(text) { return engineDate.parse(/T\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text) ? text + 'Z' : text); }
  }
  globalThis.Date = ContextDate;

  // sfc32 of the PractRand suite (public domain).
  function generator(high, low) {
    let a = high | 0, b = low | 0, c = 0x9e3779b9 | 0, counter = 1;
    function next() {
      const sum = (a + b + counter) | 0;
      counter = (counter + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = ((c << 21) | (c >>> 11)) + sum | 0;
      return sum >>> 0;
    }
    for (let i = 0; i < 12; ++i) next();
    return next;
  }
  const unit = next => ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
  let random = generator(0, 0);
  Math.random = () => unit(random);

  // As Buffer does it in Node.js: bytes are the low halves of characters, and what is no base64 is passed over.
  const encode = btoa, decode = atob;
  globalThis.window = {
    btoa: text => encode(text.replace(/[^\0-\xff]/g, c => String.fromCharCode(c.charCodeAt(0) & 255))),
    atob: text => {
      const clean = text.replace(/=[^]*$/, '').replace(/-/g, '+').replace(/_/g, '/').replace(/[^A-Za-z0-9+/]/g, '');
      return decode(clean.length % 4 === 1 ? clean.slice(0, -1) : clean);
    },
  };

  // The one function of the engine that works long without counting: `$pad` joins an array without items.
  const join = Array.prototype.join;
  Array.prototype.join = function (separator) {
    if (this.length > 2000000) throw { code: 'D9001', message: 'too many items to join', stack: '' };
    return join.call(this, separator);
  };

  const refuse = message => { throw { code: 'D9000', message, stack: '' }; };
  const step = (value, name) => Number.isInteger(value) ? value : refuse(name + ' takes whole numbers, not ' + value);

  // Those that Step Functions adds: https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
  const functions = [
    ['partition', '<an:a>', (array, size) => {
      if (array === undefined) return undefined;
      if (step(size, '$partition') < 1) refuse('$partition needs a chunk size of at least 1, not ' + size);
      const chunks = [];
      for (let i = 0; i < array.length; i += size) chunks.push(array.slice(i, i + size));
      return chunks;
    }],
    ['range', '<nnn:a<n>>', (first, last, by) => {
      if (by === 0) refuse('$range needs a step other than 0');
      if (last === undefined || by === undefined) refuse('$range needs a first number, a last number and a step');
      const numbers = [];
      for (let i = 0, n = first; by > 0 ? n <= last : n >= last; n = first + ++i * by) numbers.push(n);
      return numbers;
    }],
    ['hash', '<xs:s>', (data, algorithm) => {
      if (data === undefined) return undefined;
      const digest = host.hash(typeof data === 'string' ? data : String(JSON.stringify(data)), String(algorithm));
      return digest === undefined ? refuse("$hash knows 'MD5', 'SHA-1', 'SHA-256', 'SHA-384' and 'SHA-512', not '" + algorithm + "'") : digest;
    }],
    ['random', '<n?:n>', seed => {
      if (seed === undefined) return Math.random();
      return unit(generator(Math.floor(seed / 4294967296), seed));
    }],
    ['uuid', '<:s>', () => {
      const words = [random(), (random() & 0xffff0fff) | 0x4000, (random() & 0x3fffffff) | 0x80000000, random()];
      const hex = words.map(word => (word >>> 0).toString(16).padStart(8, '0')).join('');
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    }],
    ['parse', '<s:x>', text => {
      if (text === undefined) return undefined;
      try {
        return JSON.parse(text);
      } catch (error) {
        refuse('$parse was given a text that is not JSON');
      }
    }],
  ];

  const options = { stack: host.depthMax };
  const compiled = [];
  return {
    compile(text) {
      const expression = jsonata(text, options);
      for (const [name, signature, implementation] of functions) expression.registerFunction(name, implementation, signature);
      return compiled.push(expression) - 1;
    },
    evaluate(index, input, variables, time, high, low) {
      now = time;
      random = generator(high, low);
      return compiled[index].evaluate(input, variables);
    },
  };
})
