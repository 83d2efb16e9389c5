#!/usr/bin/env node
// A small OpenAI-compatible server for one GGUF model: POST /v1/chat/completions (JSON or streamed) and GET /v1/models on 127.0.0.1.
// One conversation is computed at a time, the others queue. Tools are not offered to the model; see README.md.

import {createServer} from "node:http";
import {randomUUID} from "node:crypto";
import {existsSync, readdirSync} from "node:fs";
import path from "node:path";
import {fileURLToPath} from "node:url";
import {parseArgs} from "node:util";
import {getLlama, LlamaChat, resolveChatWrapper} from "node-llama-cpp";

const bodyBytesMax = 4 << 20;
const queueMax = 16;
const outputTokensDefault = 1024;
const usage = `Usage: node server.mjs [--port 8089] [--model FILE.gguf] [--context TOKENS] [--threads N]
  --port     on 127.0.0.1; 0 takes a free one (default 8089)
  --model    default: the only file in models/ beside this program (get-model.sh brings a small one)
  --context  tokens of prompt and answer together (default 4096)
  --threads  default: as many as the machine has cores; take fewer when other work keeps them busy`;

class RequestError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, {status, code});
  }
}

function quit(message) {
  console.error(`server.mjs: ${message}`);
  process.exit(2);
}

function settings() {
  let values;
  try {
    ({values} = parseArgs({
      options: {port: {type: "string"}, model: {type: "string"}, context: {type: "string"}, threads: {type: "string"}, help: {type: "boolean"}},
    }));
  } catch (error) {
    quit(`${error.message}\n${usage}`);
  }
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const number = (name, fallback, min, max) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isInteger(value) || value < min || value > max) quit(`--${name} takes a number from ${min} to ${max}, not '${values[name]}'`);
    return value;
  };
  return {
    port: number("port", 8089, 0, 65535),
    context: number("context", 4096, 256, 1 << 20),
    threads: values.threads === undefined ? undefined : number("threads", 1, 1, 256),
    file: modelFile(values.model),
  };
}

function modelFile(given) {
  if (given !== undefined) return existsSync(given) ? given : quit(`there is no file ${given}`);
  const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "models");
  const found = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".gguf")) : [];
  if (found.length !== 1) quit(`${folder} holds ${found.length} models; name one with --model, or run ./get-model.sh`);
  return path.join(folder, found[0]);
}

async function load({file, context, threads}) {
  const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: "error", maxThreads: threads});
  const model = await llama.loadModel({modelPath: file});
  const size = Math.min(context, model.trainContextSize);
  const sequence = (await model.createContext({contextSize: size, threads})).getSequence();
  const wrapper = resolveChatWrapper(model);
  return {llama, model, sequence, wrapper, chat: new LlamaChat({contextSequence: sequence, chatWrapper: wrapper}), name: path.basename(file, ".gguf")};
}

function textOf(content) {
  if (typeof content === "string") return content;
  if (content === null || content === undefined) return "";
  if (!Array.isArray(content)) throw new RequestError(400, "invalid_request", "`content` must be a text or a list of parts");
  return content
    .map((part) => {
      if (part?.type === "text" && typeof part.text === "string") return part.text;
      throw new RequestError(400, "invalid_request", "this server takes text only; leave the other content parts out");
    })
    .join("");
}

function historyOf(messages) {
  if (!Array.isArray(messages) || messages.length === 0) throw new RequestError(400, "invalid_request", "`messages` must hold at least one message");
  const history = messages.map((message) => {
    const text = textOf(message?.content);
    switch (message?.role) {
      case "system":
      case "developer": return {type: "system", text};
      case "user": return {type: "user", text};
      case "assistant": return {type: "model", response: text ? [text] : []};
      case "tool": return {type: "user", text: `Result of a tool: ${text}`};
      default: throw new RequestError(400, "invalid_request", "a message's `role` must be system, developer, user, assistant or tool");
    }
  });
  return [...history, {type: "model", response: []}];
}

async function grammarOf(format, llama) {
  if (format === undefined || format === null || format.type === "text") return undefined;
  try {
    if (format.type === "json_object") return await llama.getGrammarFor("json");
    if (format.type === "json_schema") return await llama.createGrammarForJsonSchema(format.json_schema.schema);
  } catch (error) {
    throw new RequestError(400, "invalid_request", `the schema in \`response_format\` cannot be used: ${error.message}`);
  }
  throw new RequestError(400, "invalid_request", "`response_format.type` must be text, json_object or json_schema");
}

function optional(body, name, min, max) {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || value < min || value > max) throw new RequestError(400, "invalid_request", `\`${name}\` must be from ${min} to ${max}`);
  return value;
}

/// What generateResponse needs; throws RequestError.
async function planOf(body, loaded) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw new RequestError(400, "invalid_request", "the body must be a JSON object");
  const history = historyOf(body.messages);
  const promptTokens = loaded.wrapper.generateContextState({chatHistory: history}).contextText.tokenize(loaded.model.tokenizer).length;
  const room = loaded.sequence.contextSize - promptTokens - 1;
  if (room < 1) {
    throw new RequestError(400, "context_length_exceeded",
                           `the maximum context is ${loaded.sequence.contextSize} tokens and the prompt has ${promptTokens}; shorten it or raise --context`);
  }
  const wanted = optional(body, "max_completion_tokens", 1, 1e9) ?? optional(body, "max_tokens", 1, 1e9) ?? outputTokensDefault;
  const stop = typeof body.stop === "string" ? [body.stop] : Array.isArray(body.stop) ? body.stop.map(String).slice(0, 16) : undefined;
  return {
    history,
    promptTokens,
    options: {
      maxTokens: Math.floor(Math.min(wanted, room)),
      temperature: optional(body, "temperature", 0, 2) ?? 0.7,
      topP: optional(body, "top_p", 0, 1) ?? 0.95,
      seed: optional(body, "seed", 0, 2 ** 32 - 1),
      customStopTriggers: stop,
      grammar: await grammarOf(body.response_format, loaded.llama),
    },
  };
}

/// One after the other; an abandoned one leaves its place at once.
class Line {
  waiting = 0;
  tail = Promise.resolve();

  run(task) {
    if (this.waiting >= queueMax) throw new RequestError(429, "rate_limit_exceeded", `${queueMax} requests are waiting; try again later`);
    ++this.waiting;
    const done = this.tail.then(task).finally(() => --this.waiting);
    this.tail = done.catch(() => {});
    return done;
  }
}

async function generate(plan, loaded, signal, onText) {
  if (signal.aborted) throw signal.reason;
  const before = loaded.sequence.tokenMeter.getState();
  const answer = await loaded.chat.generateResponse(plan.history, {...plan.options, signal, onTextChunk: onText});
  const used = loaded.sequence.tokenMeter.diff(before);
  return {
    text: answer.response,
    finish: answer.metadata.stopReason === "maxTokens" ? "length" : "stop",
    usage: {
      prompt_tokens: plan.promptTokens,
      completion_tokens: used.usedOutputTokens,
      total_tokens: plan.promptTokens + used.usedOutputTokens,
      prompt_tokens_details: {cached_tokens: Math.max(0, plan.promptTokens - used.usedInputTokens)},
    },
  };
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    const pieces = [];
    let size = 0;
    request.on("data", (piece) => {
      size += piece.length;
      if (size <= bodyBytesMax) pieces.push(piece);
    });
    request.on("error", reject);
    request.on("end", () => {
      if (size > bodyBytesMax) return reject(new RequestError(413, "request_too_large", `a body may have ${bodyBytesMax} bytes`));
      try {
        resolve(JSON.parse(Buffer.concat(pieces).toString("utf8")));
      } catch {
        reject(new RequestError(400, "invalid_request", "the body is not JSON"));
      }
    });
  });
}

function send(response, status, value) {
  response.writeHead(status, {"content-type": "application/json"});
  response.end(JSON.stringify(value));
}

async function complete(request, response, loaded, line) {
  const gone = new AbortController();
  response.on("close", () => response.writableEnded || gone.abort(new Error("the client went away")));
  const body = await readBody(request);
  const plan = await planOf(body, loaded);
  const id = `chatcmpl-${randomUUID()}`;
  const head = {id, created: Math.floor(Date.now() / 1000), model: loaded.name};
  if (!body.stream) {
    const made = await line.run(() => generate(plan, loaded, gone.signal));
    const message = {role: "assistant", content: made.text};
    send(response, 200, {...head, object: "chat.completion", choices: [{index: 0, message, finish_reason: made.finish}], usage: made.usage});
    return;
  }
  const event = (choices, more) => {
    response.write(`data: ${JSON.stringify({...head, object: "chat.completion.chunk", choices, ...more})}\n\n`);
  };
  // Not before the first text: until then a failure still has a status of its own, and the client counts its time for the first token.
  const begin = () => {
    if (response.headersSent) return;
    response.writeHead(200, {"content-type": "text/event-stream", "cache-control": "no-cache"});
    event([{index: 0, delta: {role: "assistant", content: ""}, finish_reason: null}]);
  };
  const onText = (text) => {
    if (!text) return;
    begin();
    event([{index: 0, delta: {content: text}, finish_reason: null}]);
  };
  const made = await line.run(() => generate(plan, loaded, gone.signal, onText));
  begin();
  event([{index: 0, delta: {}, finish_reason: made.finish}]);
  if (body.stream_options?.include_usage) event([], {usage: made.usage});
  response.end("data: [DONE]\n\n");
}

function refuse(response, error) {
  const known = error instanceof RequestError;
  if (!known && !response.destroyed) console.error(error);
  const type = known && error.status < 500 ? "invalid_request_error" : "server_error";
  const value = {error: {message: error.message, type, code: known ? error.code : "server_error", param: null}};
  if (response.destroyed) return;
  if (response.headersSent) response.end(`data: ${JSON.stringify(value)}\n\n`);
  else send(response, known ? error.status : 500, value);
}

async function route(request, response, loaded, line) {
  const {pathname} = new URL(request.url, "http://127.0.0.1");
  if (request.method === "POST" && pathname === "/v1/chat/completions") return complete(request, response, loaded, line);
  if (request.method === "GET" && pathname === "/v1/models") {
    return send(response, 200, {object: "list", data: [{id: loaded.name, object: "model", created: 0, owned_by: "local"}]});
  }
  throw new RequestError(404, "not_found", "there are POST /v1/chat/completions and GET /v1/models");
}

const given = settings();
const loaded = await load(given).catch((error) => quit(`the model cannot be loaded: ${error.message}`));
const line = new Line();
const server = createServer((request, response) => {
  route(request, response, loaded, line).catch((error) => refuse(response, error));
});
server.on("error", (error) => quit(error.code === "EADDRINUSE" ? `port ${given.port} is taken; choose another with --port` : error.message));
server.listen(given.port, "127.0.0.1", () => {
  console.log(`${loaded.name} (${loaded.sequence.contextSize} tokens) listens on http://127.0.0.1:${server.address().port}/v1`);
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => line.tail.then(() => loaded.llama.dispose()).then(() => process.exit(0)));
    server.closeAllConnections();
  });
}
