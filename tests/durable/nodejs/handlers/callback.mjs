// Handlers of the requirements 4-*: callbacks.
import { CallbackError } from "@aws/durable-execution-sdk-js";
import { durable, seconds } from "./common.mjs";

// JSON whose `timestamp` is a text outside and seconds inside.
const message = {
  deserialize: async (data) => {
    const value = JSON.parse(data);
    return { ...value, timestamp: Date.parse(value.timestamp) / 1000 };
  },
};

const number = { deserialize: async (data) => Number(data) };

const awaited = async (name, context, config) => {
  const [result] = await context.createCallback(name, config);
  return result;
};

const stepBetween = (config) =>
  durable(async (event, context) => {
    const [result] = await context.createCallback(event, config);
    await context.step(async () => "between");
    return result;
  });

const waitBetween = (wait, config) =>
  durable(async (event, context) => {
    const [result] = await context.createCallback(event, config);
    await context.wait(seconds(wait));
    return result;
  });

const waitAfter = (config) =>
  durable(async (event, context) => {
    let result;
    try {
      result = await awaited(event, context, config);
    } catch (error) {
      if (!(error instanceof CallbackError)) throw error;
      result = error.message;
    }
    await context.wait(seconds(2));
    return result;
  });

export const callback_4_1 = durable(async (event, context) => awaited(event, context));

export const callback_4_2 = durable(async (_, context) => awaited("approval", context));

export const callback_4_3 = durable(async (event, context) => awaited(event, context, { timeout: seconds(5) }));

export const callback_4_4 = durable(async (event, context) => awaited(event, context, { heartbeatTimeout: seconds(5) }));

export const callback_4_5 = durable(async (event, context) => awaited(event, context, { heartbeatTimeout: seconds(10) }));

export const callback_4_6 = durable(async (event, context) => awaited(event, context));

export const callback_4_7 = stepBetween();

export const callback_4_8 = stepBetween({ timeout: seconds(5) });

export const callback_4_9 = waitBetween(5);

export const callback_4_10 = waitBetween(5);

export const callback_4_11 = waitBetween(6, { timeout: seconds(3) });

export const callback_4_12 = waitAfter();

export const callback_4_13 = waitAfter();

export const callback_4_14 = waitAfter({ timeout: seconds(3) });

export const callback_4_15 = durable(async (event, context) => ({ received: await awaited(event, context, { serdes: message }) }));

export const callback_4_16 = durable(async (event, context) => {
  const count = await awaited(event, context, { serdes: number });
  return { count, doubled: 2 * count };
});

export const callback_4_17 = durable(async ([a, b], context) => {
  const first = await awaited(a, context);
  return [first, await awaited(b, context)];
});

export const callback_4_18 = durable(async (event, context) => {
  const [a] = await context.createCallback(event[0]);
  const [b] = await context.createCallback(event[1]);
  const first = await a;
  return [first, await b];
});

export const callback_4_19 = durable(async (event, context) => {
  const [a] = await context.createCallback(event[0]);
  const [b] = await context.createCallback(event[1]);
  const second = await b;
  return [second, await a];
});
