// Handlers of the requirements 1-*: steps.
import { JitterStrategy, StepError, StepSemantics, createRetryStrategy } from "@aws/durable-execution-sdk-js";
import { TransientError, attempts, crash, durable, fails, failsUntil, noRetry, seconds, uppercaseText } from "./common.mjs";

const atMostOnce = { semantics: StepSemantics.AtMostOncePerRetry };
const greet = (event) => async () => `Hello, ${event}!`;

export const step_1_1 = durable(async (event, context) => context.step(greet(event)));

export const step_1_2 = durable(async (event, context) => context.step("custom_step_name", greet(event)));

export const step_1_3 = durable(async (_, context) => {
  const first = await context.step(async () => "first");
  return context.step(async () => first + "_second");
});

export const step_1_4 = durable(async ({ name, tags }, context) =>
  context.step(async () => ({ user: { name, tags }, count: tags.length })),
);

export const step_1_5 = durable(async (_, context) => context.step(async () => null));

export const step_1_6 = durable(async (event, context) => context.step(async () => event, { serdes: uppercaseText }));

export const step_1_7 = durable(async (event, context) =>
  context.step(async ({ logger }) => {
    logger.info(`Greeting step started for: ${event}`);
    logger.info(`Greeting step completed with: Hello, ${event}!`);
    return `Hello, ${event}!`;
  }),
);

export const step_1_8 = durable(async (_, context) => {
  const value = await context.step(async () => "computed");
  await context.wait(seconds(2));
  return value;
});

export const step_1_9 = durable(async (_, context) => {
  const value = await context.step(async ({ logger }) => {
    logger.info("step executed");
    return "cached_value";
  });
  await context.wait(seconds(1));
  return value;
});

export const step_1_10 = durable(async (_, context) => {
  let caught = "";
  try {
    await context.step(async ({ logger }) => {
      logger.info("step executed");
      return fails();
    }, noRetry);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    caught = error.message;
  }
  await context.wait(seconds(1));
  return caught;
});

export const step_1_11 = durable(async (_, context) => context.step(failsUntil(2, "Operation succeeded"), attempts(3)));

export const step_1_12 = durable(async (_, context) =>
  context.step(fails, {
    retryStrategy: createRetryStrategy({
      maxAttempts: 4, initialDelay: seconds(1), maxDelay: seconds(1), backoffRate: 1, jitter: JitterStrategy.NONE,
    }),
  }),
);

export const step_1_13 = durable(async (_, context) => context.step(failsUntil(3, "succeeded by default")));

export const step_1_14 = durable(async (_, context) =>
  context.step(failsUntil(3, "succeeded"), {
    retryStrategy: createRetryStrategy({ maxAttempts: 5, initialDelay: seconds(2), backoffRate: 3, jitter: JitterStrategy.NONE }),
  }),
);

export const step_1_15 = durable(async (_, context) =>
  context.step(failsUntil(2, "succeeded"), {
    retryStrategy: (error) => ({ shouldRetry: error instanceof TransientError, delay: seconds(1) }),
  }),
);

export const step_1_16 = durable(async (_, context) =>
  context.step(failsUntil(2, "never"), {
    retryStrategy: (error) => ({ shouldRetry: !(error instanceof TransientError), delay: seconds(1) }),
  }),
);

export const step_1_17 = durable(async (event, context) =>
  context.step("at_most_once_flaky_step", async ({ logger }) => {
    logger.info(event);
    crash();
  }, { ...atMostOnce, ...noRetry }),
);

export const step_1_18 = durable(async (event, context) =>
  context.step(async ({ logger, attempt }) => {
    logger.info(event);
    if (attempt === 1) crash();
    return "succeeded on second attempt";
  }, { ...atMostOnce, ...attempts(2) }),
);

export const step_1_19 = durable(async (_, context) => context.step(fails, noRetry));

export const step_1_20 = durable(async (_, context) => {
  try {
    return await context.step(fails, noRetry);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return context.step(async () => "fallback_result");
  }
});
