// Handlers of the requirements 2-*: waits.
import { durable, seconds } from "./common.mjs";

export const wait_2_1 = durable(async (_, context) => context.wait(seconds(2)));

export const wait_2_2 = durable(async (_, context) => context.wait("custom_wait_name", seconds(2)));

export const wait_2_3 = durable(async (_, context) => {
  await context.wait("wait-1", seconds(2));
  await context.wait("wait-2", seconds(2));
  return { completedWaits: 2 };
});

export const wait_2_4 = durable(async (_, context) => context.wait({ minutes: 1 }));

export const wait_2_5 = durable(async (_, context) => context.wait({ hours: 1 }));
