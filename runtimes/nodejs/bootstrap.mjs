// Runs a Node.js handler: loads it, takes events from the Lambda Runtime API and posts what it returns.
//
// Kept thin, since every module here is part of each cold start: one raw socket instead of `node:http`.
// Protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html; error types and shapes as AWS's own Node.js runtime.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const ROOT = '/2018-06-01/runtime/';
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const HTTP_INTEGRATION = 'application/vnd.awslambda.http-integration-response';
const HEADER_BYTES_MAX = 1 << 20;

class Fault extends Error {
  constructor(type, message, cause) {
    super(message);
    this.name = type;
    if (cause?.stack) this.stack = `${type}: ${message}\n${cause.stack}`;
  }
}

/** The Runtime API over one kept-alive connection. */
class RuntimeClient {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.host = address.slice(0, colon);
    this.port = Number(address.slice(colon + 1));
    this.address = address;
    this.socket = null;
    this.received = [];
    this.size = 0;
    this.head = null;
    this.waiting = null;
  }

  next() {
    return this.exchange(`GET ${ROOT}invocation/next HTTP/1.1\r\nHost: ${this.address}\r\n\r\n`);
  }

  respond(id, text) {
    return this.post(`invocation/${id}/response`, text, 'Content-Type: application/json\r\n');
  }

  fail(id, error) {
    return this.postError(`invocation/${id}/error`, error);
  }

  failInit(error) {
    return this.postError('init/error', error);
  }

  postError(target, error) {
    const document = describeError(error);
    const type = document.errorType.replace(/[^ -~]/g, '?').slice(0, 256);
    const fields = `Content-Type: application/vnd.aws.lambda.error+json\r\nLambda-Runtime-Function-Error-Type: ${type}\r\n`;
    return this.post(target, JSON.stringify(document), fields);
  }

  post(target, text, fields) {
    const length = Buffer.byteLength(text);
    return this.exchange(`POST ${ROOT}${target} HTTP/1.1\r\nHost: ${this.address}\r\n${fields}Content-Length: ${length}\r\n\r\n${text}`);
  }

  /** Sends one request and gives { status, headers, body }. A connection that ended meanwhile is opened again, once. */
  async exchange(message) {
    const fresh = this.socket === null;
    try {
      return await this.send(message);
    } catch (error) {
      if (fresh) throw error;
      return this.send(message);
    }
  }

  send(message) {
    const answer = this.expect();
    this.socket.write(message);
    return answer;
  }

  expect() {
    if (!this.socket) this.connect();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  connect() {
    this.received = [];
    this.size = 0;
    this.head = null;
    const socket = net.connect({ host: this.host, port: this.port, noDelay: true });
    socket.on('data', (bytes) => this.take(bytes));
    socket.on('error', (error) => this.lose(socket, error));
    socket.on('close', () => this.lose(socket, new Error('the Runtime API closed the connection')));
    this.socket = socket;
  }

  lose(socket, error) {
    if (this.socket !== socket) return;
    this.socket = null;
    const waiting = this.waiting;
    this.waiting = null;
    waiting?.reject(error);
  }

  take(bytes) {
    this.received.push(bytes);
    this.size += bytes.length;
    if (this.head === null && !this.takeHead()) return;
    if (this.size < this.head.length) return;
    const all = this.received.length === 1 ? this.received[0] : Buffer.concat(this.received);
    const { status, headers, length } = this.head;
    this.received = all.length > length ? [all.subarray(length)] : [];
    this.size = all.length - length;
    this.head = null;
    const waiting = this.waiting;
    this.waiting = null;
    waiting?.resolve({ status, headers, body: all.toString('utf8', 0, length) });
  }

  takeHead() {
    const all = this.received.length === 1 ? this.received[0] : Buffer.concat(this.received);
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) {
      if (all.length > HEADER_BYTES_MAX) this.socket.destroy(new Error("the Runtime API's header is too large"));
      this.received = [all];
      return false;
    }
    const lines = all.toString('utf8', 0, end).split('\r\n');
    const headers = {};
    for (let i = 1; i < lines.length; i++) {
      const colon = lines[i].indexOf(':');
      headers[lines[i].slice(0, colon).toLowerCase()] = lines[i].slice(colon + 1).trim();
    }
    this.head = { status: Number(lines[0].split(' ')[1]), headers, length: Number(headers['content-length'] ?? 0) };
    this.received = [all.subarray(end + 4)];
    this.size = this.received[0].length;
    return true;
  }
}

/** A streamed answer: chunks of the POST …/response, whose header goes out with the first write. */
class ResponseStream extends Writable {
  constructor(client, id, highWaterMark) {
    super({ highWaterMark: highWaterMark || 64 * 1024 });
    this.client = client;
    this.id = id;
    this.contentType = 'application/octet-stream';
    this.begun = false;
    this.prelude = null;
    this.accepted = null;
  }

  setContentType(type) {
    this.contentType = String(type).replace(/[\r\n]/g, ' ');
  }

  begin() {
    if (this.begun) return;
    this.begun = true;
    this.accepted = this.client.expect();
    this.accepted.catch(() => {});
    this.client.socket.write(
      `POST ${ROOT}invocation/${this.id}/response HTTP/1.1\r\nHost: ${this.client.address}\r\nContent-Type: ${this.contentType}\r\n` +
        'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n' +
        'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n',
    );
    if (this.prelude) this.sendChunk(this.prelude, () => {});
  }

  sendChunk(bytes, done) {
    const socket = this.client.socket;
    if (!socket) return done(new Error('the Runtime API closed the connection'));
    socket.cork();
    socket.write(`${bytes.length.toString(16)}\r\n`);
    socket.write(bytes);
    socket.write('\r\n', done);
    process.nextTick(() => socket.uncork());
  }

  _write(chunk, encoding, done) {
    this.begin();
    if (chunk.length === 0) return done();
    this.sendChunk(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk, encoding), done);
  }

  _final(done) {
    this.begin();
    this.client.socket?.write('0\r\n\r\n', () => done());
  }

  /** Ends the stream with an error in its trailers. */
  abort(error) {
    const document = describeError(error);
    const body = Buffer.from(JSON.stringify(document)).toString('base64');
    const type = document.errorType.replace(/[^ -~]/g, '?').slice(0, 256);
    this.client.socket?.write(`0\r\nLambda-Runtime-Function-Error-Type: ${type}\r\nLambda-Runtime-Function-Error-Body: ${body}\r\n\r\n`);
  }
}

function describeError(error) {
  try {
    if (error instanceof Error || Object.prototype.toString.call(error) === '[object Error]') {
      return { errorType: String(error.name), errorMessage: String(error.message), trace: String(error.stack ?? '').split('\n') };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return { errorType: 'handled', errorMessage: 'the error that the handler gave cannot be read', trace: [] };
  }
}

// ---- Console: as AWS writes it, one entry a line.

const current = { id: undefined, tenant: undefined };
const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };

function patchConsole() {
  const asJson = process.env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  const least = LEVELS[process.env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? 0;
  const { format } = createRequire(import.meta.url)('node:util');
  const write = (level, parts) => {
    if (LEVELS[level] < least) return;
    const time = new Date().toISOString();
    if (asJson) {
      const message = parts.length === 1 && typeof parts[0] !== 'string' && !(parts[0] instanceof Error) ? parts[0] : format(...parts);
      const entry = { timestamp: time, level, requestId: current.id, tenantId: current.tenant, message };
      const error = parts.find((part) => part instanceof Error);
      if (error) Object.assign(entry, { errorType: error.name, errorMessage: error.message, stackTrace: String(error.stack).split('\n') });
      try {
        process.stdout.write(`${JSON.stringify(entry)}\n`);
      } catch {
        process.stdout.write(`${JSON.stringify({ ...entry, message: format(...parts) })}\n`);
      }
      return;
    }
    process.stdout.write(`${time}\t${current.id}\t${level}\t${format(...parts).replaceAll('\n', '\r')}\n`);
  };
  const methods = { log: 'INFO', info: 'INFO', debug: 'DEBUG', trace: 'TRACE', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
  for (const [name, level] of Object.entries(methods)) console[name] = (...parts) => write(level, parts);
}

function logError(title, error) {
  const { errorType, errorMessage, trace } = describeError(error);
  const code = error?.code;
  const own = error instanceof Error ? { ...error } : {};
  console.error(`${title} \t${JSON.stringify({ errorType, errorMessage, code, ...own, stack: trace }, (key, value) => (typeof value === 'bigint' ? String(value) : value))}`);
}

function tryLogError(title, error) {
  try {
    logError(title, error);
  } catch {
    console.error(title);
  }
}

// ---- Loading

function findIn(holder, names) {
  return names.reduce((found, name) => (found === null || found === undefined ? undefined : found[name]), holder);
}

async function loadModule(root, folder, name, handler) {
  const base = path.resolve(root, folder, name);
  try {
    if (existsSync(base) && !existsSync(`${base}.js`) && !existsSync(`${base}.mjs`) && !existsSync(`${base}.cjs`)) {
      return await import(pathToFileURL(createRequire(import.meta.url).resolve(base)).href);
    }
    for (const extension of ['.js', '.mjs', '.cjs']) {
      if (existsSync(base + extension)) return await import(pathToFileURL(base + extension).href);
    }
    const require = createRequire(import.meta.url);
    return require(require.resolve(name, { paths: [root, path.join(root, folder)] }));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault('Runtime.UserCodeSyntaxError', String(error), error);
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw new Fault('Runtime.ImportModuleError', String(error), error);
    }
    throw error;
  }
}

async function loadHandler(root, handler) {
  const file = path.basename(handler);
  const folder = handler.slice(0, handler.length - file.length);
  const dot = file.indexOf('.');
  if (handler.includes('..')) {
    throw new Fault('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  if (dot < 0) throw new Fault('Runtime.MalformedHandlerName', 'Bad handler');
  const module = await loadModule(root, folder, file.slice(0, dot), handler);
  const names = file.slice(dot + 1).split('.');
  const found = findIn(module, names) ?? findIn(module?.default, names);
  if (found === undefined || found === null) throw new Fault('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  if (typeof found !== 'function') throw new Fault('Runtime.HandlerNotFound', `${handler} is not a function`);
  return found;
}

function installGlobals() {
  globalThis.awslambda = {
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (options?.highWaterMark) handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
      return handler;
    },
    HttpResponseStream: class {
      /** The status, headers and cookies of an HTTP answer go ahead of its body: JSON, then eight zero bytes. */
      static from(stream, metadata) {
        stream.setContentType(HTTP_INTEGRATION);
        stream.prelude = Buffer.concat([Buffer.from(JSON.stringify(metadata ?? {})), Buffer.alloc(8)]);
        return stream;
      }
    },
  };
}

// ---- Invocations

function parseField(headers, name) {
  if (!headers[name]) return undefined;
  try {
    return JSON.parse(headers[name]);
  } catch (error) {
    throw new Fault('Runtime.LambdaContextUnmarshalError', `Failed to parse ${name} as JSON: ${error.message}`);
  }
}

function makeContext(headers) {
  const env = process.env;
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parseField(headers, 'lambda-runtime-client-context'),
    identity: parseField(headers, 'lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

/** Settles with the handler's outcome, by promise or by callback; with null when the process has nothing left to do. */
function callHandler(handler, event, context) {
  return new Promise((resolve, reject) => {
    let settled = false;
    let outcome = null;
    const settle = (error, value) => {
      settled = true;
      process.removeListener('beforeExit', atRest);
      if (error !== null && error !== undefined) reject(error);
      else resolve(value);
    };
    // The socket is not referenced while a handler runs: an empty event loop shows itself here.
    const atRest = () => {
      if (!settled) settle(outcome?.error, outcome ? outcome.value : null);
    };
    const callback = (error, value) => {
      if (settled || outcome) return;
      outcome = { error, value };
      if (!context.callbackWaitsForEmptyEventLoop) settle(error, value);
    };
    const finishNow = (error, value) => {
      if (!settled) settle(error, value);
    };
    context.done = (error, value) => callback(error, value);
    context.succeed = (value) => finishNow(null, value);
    context.fail = (error) => finishNow(error ?? new Error('handled'));
    process.on('beforeExit', atRest);
    let returned;
    try {
      returned = handler(event, context, callback);
    } catch (error) {
      finishNow(error ?? new Error(String(error)));
      return;
    }
    if (typeof returned?.then === 'function') {
      returned.then(
        (value) => finishNow(null, value),
        (error) => finishNow(error ?? new Error(String(error))),
      );
    }
  });
}

function marshal(value) {
  try {
    return JSON.stringify(value === undefined ? null : value) ?? 'null';
  } catch (error) {
    throw new Fault('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`, error);
  }
}

async function runBuffered(client, handler, id, event, context) {
  let text;
  try {
    client.socket?.unref();
    text = marshal(await callHandler(handler, event, context));
  } catch (error) {
    client.socket?.ref();
    tryLogError('Invoke Error', error);
    return client.fail(id, error);
  }
  client.socket?.ref();
  return client.respond(id, text);
}

async function runStreaming(client, handler, id, event, context) {
  const stream = new ResponseStream(client, id, handler[HIGH_WATER_MARK]);
  const finished = new Promise((resolve, reject) => {
    stream.on('finish', resolve);
    stream.on('error', reject);
  });
  finished.catch(() => {});
  try {
    const returned = handler(event, stream, context);
    if (typeof returned?.then !== 'function') throw new Error('Streaming does not support non-async handlers.');
    if ((await returned) !== undefined) console.warn('Streaming handlers ignore return values.');
    if (!stream.writableEnded) throw new Error('Response stream is not finished.');
    await finished;
    return await stream.accepted;
  } catch (error) {
    tryLogError('Invoke Error', error);
    if (!stream.begun) return client.fail(id, error);
    if (!stream.writableFinished) stream.abort(error);
    return stream.accepted;
  }
}

async function serve(client, handler) {
  for (;;) {
    const { status, headers, body } = await client.next();
    if (status !== 200) throw new Error(`the Runtime API answered ${status}`);
    const id = headers['lambda-runtime-aws-request-id'];
    current.id = id;
    current.tenant = headers['lambda-runtime-aws-tenant-id'];
    const trace = headers['lambda-runtime-trace-id'];
    if (trace) process.env._X_AMZN_TRACE_ID = trace;
    else delete process.env._X_AMZN_TRACE_ID;
    let event, context;
    try {
      context = makeContext(headers);
      event = JSON.parse(body);
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('Runtime.UnmarshalError', `Unable to unmarshal input: ${error.message}`);
      tryLogError('Invoke Error', fault);
      await client.fail(id, fault);
      continue;
    }
    if (handler[STREAMING]) await runStreaming(client, handler, id, event, context);
    else await runBuffered(client, handler, id, event, context);
  }
}

/** What a handler leaves uncaught ends the process, but the caller hears why. */
function reportUncaught(client) {
  const report = async (type, title, error, code) => {
    tryLogError(title, error);
    try {
      const fault = type ? new Fault(type, String(error?.message ?? error), error) : error;
      const last = new RuntimeClient(client.address);
      if (current.id) await last.fail(current.id, fault);
      else await last.failInit(fault);
    } finally {
      process.exit(code);
    }
  };
  process.on('uncaughtException', (error) => report(null, 'Uncaught Exception', error, 129));
  process.on('unhandledRejection', (error) => report('Runtime.UnhandledPromiseRejection', 'Unhandled Promise Rejection', error, 128));
}

const client = new RuntimeClient(process.env.AWS_LAMBDA_RUNTIME_API);
patchConsole();
installGlobals();
reportUncaught(client);
let handler;
try {
  handler = await loadHandler(process.env.LAMBDA_TASK_ROOT ?? process.cwd(), process.env._HANDLER ?? '');
} catch (error) {
  tryLogError('Init Error', error);
  await client.failInit(error);
  process.exit(1);
}
await serve(client, handler);
