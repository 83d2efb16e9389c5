// Runs handlers for the emulator: a JSON request on each line of stdin, the answer on file descriptor 3.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const [module, name] = request.handler.split(".");
  const context = { awsRequestId: request.id, getRemainingTimeInMillis: () => 60_000 };
  let answer;
  try {
    const handlers = await import(pathToFileURL(`${process.cwd()}/${module}.mjs`));
    answer = { result: (await handlers[name](request.event, context)) ?? null };
  } catch (error) {
    answer = { error: { errorType: error.name, errorMessage: error.message } };
  }
  writeSync(3, JSON.stringify(answer) + "\n");
}
