// Handlers of the requirements 5-*: chained invokes, and the functions that they invoke.
import { InvokeError } from "@aws/durable-execution-sdk-js";
import { durable, seconds, target } from "./common.mjs";

// Below the 1 MiB that a chained invoke may carry.
const LARGE = 1_000_000;

const json = { serialize: async (value) => JSON.stringify(value), deserialize: async (data) => JSON.parse(data) };
const uppercaseData = { ...json, serialize: async (value) => JSON.stringify({ ...value, data: value.data.toUpperCase() }) };
const uppercaseResult = { ...json, deserialize: async (data) => JSON.parse(data).toUpperCase() };

// The SDK takes a text in the second place for the function's name, so the operation's (absent) name is given.
const invoke = (context, name, payload, config) => context.invoke(undefined, target(name), payload, config);

const failing = async (context) => {
  try {
    return await invoke(context, "FAIL", "please");
  } catch (error) {
    if (!(error instanceof InvokeError)) throw error;
    return "fallback";
  }
};

export const target_echo = durable(async (event) => event);

export const target_fail = durable(async () => {
  throw new Error("the target is made to fail");
});

export const target_size = durable(async (event) => ({ length: event.length }));

// Not durable.
export const target_plain = async (event) => {
  if (event === "raise") throw new Error("the plain target is made to fail");
  return { plain: event };
};

export const invoke_5_1 = durable(async (event, context) => invoke(context, "ECHO", event));

export const invoke_5_2 = durable(async (event, context) => context.invoke(event.name, target("ECHO"), event.payload));

export const invoke_5_3 = durable(async (event, context) => invoke(context, "ECHO", event));

export const invoke_5_4 = durable(async (_, context) => invoke(context, "ECHO", null));

export const invoke_5_5 = durable(async (_, context) => invoke(context, "FAIL", "please"));

export const invoke_5_6 = durable(async (_, context) => failing(context));

export const invoke_5_7 = durable(async (_, context) => invoke(context, "SIZE", "x".repeat(LARGE)));

export const invoke_5_8 = durable(async (event, context) => invoke(context, "TENANT", event.payload, { tenantId: event.tenantId }));

export const invoke_5_9 = durable(async (_, context) => {
  const result = await invoke(context, "ECHO", "kept");
  await context.wait(seconds(1));
  return result;
});

export const invoke_5_10 = durable(async (_, context) => {
  const result = await failing(context);
  await context.wait(seconds(1));
  return result;
});

export const invoke_5_11 = durable(async (_, context) => {
  const value = await context.step(async () => "from the step");
  return invoke(context, "ECHO", value);
});

export const invoke_5_12 = durable(async (_, context) => {
  const value = await invoke(context, "ECHO", "to the step");
  return context.step(async () => value.toUpperCase());
});

export const invoke_5_13 = durable(async (_, context) =>
  context.runInChildContext(async (child) => invoke(child, "ECHO", "from the child")),
);

export const invoke_5_14 = durable(async (_, context) => {
  const first = await invoke(context, "ECHO", "first");
  return [first, await invoke(context, "SIZE", first)];
});

export const invoke_5_15 = durable(async (event, context) => invoke(context, "ECHO", event, { payloadSerdes: uppercaseData }));

export const invoke_5_16 = durable(async (event, context) => invoke(context, "ECHO", event, { resultSerdes: uppercaseResult }));
