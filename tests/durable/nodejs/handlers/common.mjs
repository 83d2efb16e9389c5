// What the handlers of several groups need.
import { withDurableExecution } from "@aws/durable-execution-sdk-js";

export const durable = withDurableExecution;

export class TransientError extends Error {
  constructor(message) {
    super(message);
    this.name = "TransientError";
  }
}

export const seconds = (count) => ({ seconds: count });

// A strategy with this many attempts in all, `delay` seconds apart.
export const attempts = (count, delay = 1) => ({
  retryStrategy: (_, made) => (made < count ? { shouldRetry: true, delay: seconds(delay) } : { shouldRetry: false }),
});

export const noRetry = attempts(1);

export const fails = async () => {
  throw new Error("this step always fails");
};

// A step function that succeeds with `value` at this attempt.
export const failsUntil = (attempt, value) => async (context) => {
  if (context.attempt < attempt) throw new TransientError(`attempt ${context.attempt} is made to fail`);
  return value;
};

// Writes a text as it is, in capitals.
export const uppercaseText = { serialize: async (value) => value.toUpperCase(), deserialize: async (data) => data };

// Of an invocation event: the execution has no operation yet.
export const firstInvocation = (event) => event.InitialExecutionState.Operations.length === 1;

// Ends the process as a fault of native code would.
export const crash = () => process.exit(1);

// The name under which the runner deployed a function to be invoked.
export const target = (name) => process.env["TARGET_" + name];
