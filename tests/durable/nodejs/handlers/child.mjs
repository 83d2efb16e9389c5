// Handlers of the requirements 3-*: child contexts.
// Loaded here, or the SDK would load it at its first checkpoint: too late for 3-12.
import "@aws-sdk/client-lambda";
import { ChildContextError } from "@aws/durable-execution-sdk-js";
import { attempts, crash, durable, fails, failsUntil, firstInvocation, noRetry, seconds, uppercaseText } from "./common.mjs";

// The SDK writes the start of an ordinary step in the background.
const START_IS_WRITTEN_MS = 3000;

// A child's body: a step that returns the value.
const oneStep = (value) => async (child) => child.step(async () => value);

const stepAndWait = (value) => async (child) => {
  const result = await child.step(async () => value);
  await child.wait(seconds(1));
  return result;
};

export const child_3_1 = durable(async (event, context) => context.runInChildContext(oneStep(event)));

export const child_3_2 = durable(async (event, context) => context.runInChildContext(event.name, oneStep(event.value)));

export const child_3_3 = durable(async (event, context) =>
  context.runInChildContext("two_steps", async (child) => {
    const first = await child.step(async () => event);
    return child.step(async () => first);
  }),
);

export const child_3_4 = durable(async (_, context) =>
  context.runInChildContext("failing", async (child) => child.step(fails, noRetry)),
);

export const child_3_5 = durable(async (event, context) => {
  try {
    return await context.runInChildContext(async (child) => child.step(fails, noRetry));
  } catch (error) {
    if (!(error instanceof ChildContextError)) throw error;
    return context.step(async () => event);
  }
});

export const child_3_6 = durable(async (event, context) =>
  context.runInChildContext("outer", async (child) => {
    await child.step(async () => event);
    return child.runInChildContext("inner", oneStep(event));
  }),
);

export const child_3_7 = durable(async (event, context) =>
  context.runInChildContext("retried", async (child) => child.step(failsUntil(2, event), attempts(2))),
);

export const child_3_8 = durable(async (_, context) =>
  context.runInChildContext("hopeless", async (child) => child.step(fails, attempts(2))),
);

export const child_3_9 = durable(async (event, context) => {
  const result = await context.runInChildContext(oneStep(event));
  await context.wait(seconds(1));
  return result;
});

export const child_3_10 = durable(async (event, context) => context.runInChildContext("step_and_wait", stepAndWait(event)));

export const child_3_11 = durable(async (event, context) => {
  const large = await context.runInChildContext("large", async (child) => {
    child.configureLogger({ modeAware: false });
    child.logger.info(event);
    return (await child.step(async () => "x")).repeat(300_000);
  });
  await context.wait(seconds(1));
  return large.length;
});

export const child_3_12 = (event, lambdaContext) => {
  const dies = firstInvocation(event);
  const handler = durable(async (text, context) =>
    context.runInChildContext(async (child) =>
      child.step(async () => {
        if (dies) {
          await new Promise((resolve) => setTimeout(resolve, START_IS_WRITTEN_MS));
          crash();
        }
        return text;
      }),
    ),
  );
  return handler(event, lambdaContext);
};

export const child_3_13 = durable(async (event, context) => {
  const result = await context.runInChildContext("only_a_wait", async (child) => {
    await child.wait(seconds(1));
    return event;
  });
  return context.step(async () => result);
});

export const child_3_14 = durable(async (event, context) =>
  context.runInChildContext("uppercase", oneStep(event), { serdes: uppercaseText }),
);

export const child_3_15 = durable(async (_, context) => context.runInChildContext("throws", fails));

export const child_3_16 = durable(async (_, context) => context.runInChildContext("nothing", async () => null));

export const child_3_17 = durable(async (event, context) => {
  const result = await context.runInChildContext("logs", async (child) => {
    child.configureLogger({ modeAware: false });
    child.logger.info(event);
    return event;
  });
  await context.wait(seconds(1));
  return result;
});

export const child_3_18 = durable(async (event, context) => {
  const result = await context.runInChildContext("step_and_wait", stepAndWait(event));
  const value = await context.step(async () => result);
  await context.wait(seconds(1));
  return value;
});
