// Handlers of what AWS's five groups leave out (more/*.yaml): conditions, batches, compound operations, sizes.
// Loaded here, or the SDK would load it at its first checkpoint: too late for the wait of m-5.
import "@aws-sdk/client-lambda";
import { attempts, durable, failsUntil, seconds, target } from "./common.mjs";

const LARGE = 700_000;
// With its two quotes beyond what an invocation may answer, and still a legal payload.
const BARELY_LEGAL = 6_291_450;

export const more_1 = durable(async (_, context) =>
  context.waitForCondition(async (state) => state + 1, {
    initialState: 0,
    waitStrategy: (state) => (state === 3 ? { shouldContinue: false } : { shouldContinue: true, delay: seconds(1) }),
  }),
);

export const more_2 = durable(async (_, context) => context.waitForCallback("asked", async () => {}));

export const more_3 = durable(async (_, context) => {
  const branch = (number) => async (child) => child.step(async () => number);
  return (await context.parallel([1, 2, 3].map(branch))).getResults();
});

export const more_4 = durable(async (event, context) => {
  const results = await context.map(event, async (child, item) => {
    const value = await child.step(async () => 2 * item);
    await child.wait(seconds(1));
    return value;
  });
  return results.getResults();
});

export const more_5 = durable(async (_, context) => {
  const waits = async (child) => {
    await child.wait(seconds(1));
    return child.step(async () => "waited");
  };
  const works = async (child) =>
    child.step(async () => {
      await new Promise((resolve) => setTimeout(resolve, 6000));
      return "worked";
    });
  return (await context.parallel([waits, works])).getResults();
});

export const more_6 = durable(async () => "x".repeat(BARELY_LEGAL));

export const more_7 = durable(async (_, context) => {
  let sum = 0;
  for (let i = 0; i < 10; ++i) sum += (await context.step(async () => "x".repeat(LARGE))).length;
  await context.wait(seconds(1));
  return sum;
});

export const more_8 = durable(async (_, context) => {
  let count = 0;
  for (let i = 0; i < 300; ++i) count = await context.step(async () => count + 1);
  await context.wait(seconds(1));
  return count;
});

export const more_9 = durable(async (event, context) => {
  const value = await context.step(async () => event);
  return context.invoke(undefined, target("ECHO"), value);
});

export const more_10 = durable(async (event, context) => context.invoke(undefined, target("WAITS"), event));

export const more_11 = durable(async (_, context) => {
  const retries = async (child) => child.step(failsUntil(2, "retried"), attempts(2));
  const waits = async (child) => {
    await child.wait(seconds(1));
    return "waited";
  };
  const invokes = async (child) => child.invoke(undefined, target("ECHO"), "echoed");
  return (await context.parallel([retries, waits, invokes])).getResults();
});
