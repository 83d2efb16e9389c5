#include "expression/script_engine.h"

#include <fmt/format.h>
#include <quickjs.h>

#include <cstring>
#include <string>

#include "base/assert.h"
#include "base/hash.h"
#include "expression/script_values.h"
#include "expression/snapshot_memory.h"

namespace mayfly {

extern const std::string_view kJsonataScript;
extern const std::string_view kPreludeScript;

namespace {

/// Levels of nested evaluation in JSONata; the engine's stack below is enough for them.
constexpr int kDepthMax = 300;
constexpr std::size_t kStackBytes = 1024 * 1024;
/// The engine asks after so many of its steps.
constexpr std::uint64_t kStepsAnInterrupt = 10'000;
/// Beyond what is kept; before, nothing is collected, since the whole memory is dropped after an evaluation.
constexpr std::size_t kCollectBytes = 16 * 1024 * 1024;

SnapshotMemory* memory_of(void* opaque) { return static_cast<SnapshotMemory*>(opaque); }
void* allocate(void* opaque, std::size_t bytes) { return memory_of(opaque)->allocate(bytes); }
void release(void* opaque, void* block) { memory_of(opaque)->release(block); }
void* reallocate(void* opaque, void* block, std::size_t bytes) {
  if (bytes == 0) {
    release(opaque, block);
    return nullptr;
  }
  return memory_of(opaque)->reallocate(block, bytes);
}
void* allocate_zeroed(void* opaque, std::size_t count, std::size_t bytes) {
  if (bytes != 0 && count > SIZE_MAX / bytes) return nullptr;
  void* block = memory_of(opaque)->allocate(count * bytes);
  if (block != nullptr) std::memset(block, 0, count * bytes);
  return block;
}

constexpr JSMallocFunctions kMemoryFunctions{
    .js_calloc = allocate_zeroed,
    .js_malloc = allocate,
    .js_free = release,
    .js_realloc = reallocate,
    .js_malloc_usable_size = SnapshotMemory::usable_size,
};

JSValue hash_function(JSContext* context, JSValueConst, int count, JSValueConst* arguments) {
  if (count < 2) return JS_UNDEFINED;
  std::size_t size = 0;
  const char* data = JS_ToCStringLen(context, &size, arguments[0]);
  const char* algorithm = JS_ToCString(context, arguments[1]);
  JSValue result = JS_UNDEFINED;
  if (data != nullptr && algorithm != nullptr) {
    if (const auto digest = digest_hex(algorithm, {data, size})) result = JS_NewStringLen(context, digest->data(), digest->size());
  }
  if (data != nullptr) JS_FreeCString(context, data);
  if (algorithm != nullptr) JS_FreeCString(context, algorithm);
  return result;
}

/// The scripts as bytecode, made by an engine of its own: the one that evaluates has no compiler for scripts.
std::string bytecode_of(std::string_view script, const char* name) {
  JSRuntime* runtime = JS_NewRuntime();
  MAYFLY_ASSERT(runtime != nullptr, "no memory for a script engine");
  JS_SetMaxStackSize(runtime, kStackBytes);
  JSContext* context = JS_NewContext(runtime);
  MAYFLY_ASSERT(context != nullptr, "no memory for a script engine");
  const std::string text(script);  // must end with a zero byte
  JSValue function = JS_Eval(context, text.data(), text.size(), name, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
  MAYFLY_ASSERT(!JS_IsException(function), "a built-in script does not compile");
  std::size_t size = 0;
  std::uint8_t* bytes = JS_WriteObject(context, &size, function, JS_WRITE_OBJ_BYTECODE);
  MAYFLY_ASSERT(bytes != nullptr, "a built-in script cannot be written");
  std::string result(reinterpret_cast<const char*>(bytes), size);
  js_free(context, bytes);
  JS_FreeValue(context, function);
  JS_FreeContext(context);
  JS_FreeRuntime(runtime);
  return result;
}

struct Bytecode {
  std::string jsonata = bytecode_of(kJsonataScript, "jsonata.js");
  std::string prelude = bytecode_of(kPreludeScript, "prelude.js");
};

}  // namespace

class ScriptEngine::Impl {
 public:
  Impl(std::unique_ptr<SnapshotMemory> memory, ExpressionLimits limits) : memory_(std::move(memory)), limits_(limits) {}

  void boot() {
    static const Bytecode bytecode;
    runtime_ = JS_NewRuntime2(&kMemoryFunctions, memory_.get());
    MAYFLY_ASSERT(runtime_ != nullptr, "the engine is larger than its memory");
    JS_SetMaxStackSize(runtime_, kStackBytes);
    JS_SetInterruptHandler(runtime_, interrupted, this);
    context_ = JS_NewContextRaw(runtime_);
    MAYFLY_ASSERT(context_ != nullptr, "the engine is larger than its memory");
    const bool ready = JS_AddIntrinsicBaseObjects(context_) == 0 && JS_AddIntrinsicDate(context_) == 0 &&
                       JS_AddIntrinsicRegExp(context_) == 0 && JS_AddIntrinsicJSON(context_) == 0 &&
                       JS_AddIntrinsicMapSet(context_) == 0 && JS_AddIntrinsicPromise(context_) == 0 &&
                       JS_AddIntrinsicDOMException(context_) == 0 && JS_AddIntrinsicAToB(context_) == 0;
    MAYFLY_ASSERT(ready, "the engine is larger than its memory");
    JS_FreeValue(context_, run(bytecode.jsonata));
    JSValue prelude = run(bytecode.prelude);
    JSValue host = JS_NewObject(context_);
    JS_SetPropertyStr(context_, host, "hash", JS_NewCFunction(context_, hash_function, "hash", 2));
    JS_SetPropertyStr(context_, host, "depthMax", JS_NewInt32(context_, kDepthMax));
    JSValueConst arguments[] = {host};
    JSValue functions = JS_Call(context_, prelude, JS_UNDEFINED, 1, arguments);
    MAYFLY_ASSERT(!JS_IsException(functions), "the prelude fails");
    compile_ = JS_GetPropertyStr(context_, functions, "compile");
    evaluate_ = JS_GetPropertyStr(context_, functions, "evaluate");
    JS_FreeValue(context_, functions);
    JS_FreeValue(context_, host);
    JS_FreeValue(context_, prelude);
    JS_RunGC(runtime_);
    memory_->set_budget(limits_.memory_bytes_max);
    keep();
  }

  Result<std::uint32_t> compile(std::string_view text) {
    begin();
    JSValueConst arguments[] = {JS_NewStringLen(context_, text.data(), text.size())};
    JSValue index = JS_Call(context_, compile_, JS_UNDEFINED, 1, arguments);
    JS_FreeValue(context_, arguments[0]);
    if (JS_IsException(index)) {
      const Error error = describe(JS_GetException(context_), "expression.invalid", "the expression is not valid JSONata");
      memory_->restore();
      return fail(error);
    }
    const auto result = static_cast<std::uint32_t>(JS_VALUE_GET_INT(index));
    keep();
    return result;
  }

  Result<std::optional<Json>> evaluate(std::uint32_t expression, const Json& input, const Variables& variables, EvaluationContext context) {
    begin();
    auto result = evaluate_within(expression, input, variables, context);
    memory_->restore();
    return result;
  }

  std::size_t kept_bytes() const { return memory_->kept_bytes(); }

 private:
  static int interrupted(JSRuntime*, void* opaque) {
    auto& self = *static_cast<Impl*>(opaque);
    self.work_ += kStepsAnInterrupt;
    return self.work_ > self.limits_.work_max ? 1 : 0;
  }

  void begin() {
    work_ = 0;
    JS_UpdateStackTop(runtime_);
  }

  void keep() {
    JS_SetGCThreshold(runtime_, memory_->kept_bytes() + kCollectBytes);
    memory_->keep();
  }

  JSValue run(const std::string& bytecode) {
    JSValue function = JS_ReadObject(context_, reinterpret_cast<const std::uint8_t*>(bytecode.data()), bytecode.size(), JS_READ_OBJ_BYTECODE);
    MAYFLY_ASSERT(!JS_IsException(function), "a built-in script cannot be read");
    JSValue value = JS_EvalFunction(context_, function);
    MAYFLY_ASSERT(!JS_IsException(value), "a built-in script fails");
    return value;
  }

  bool over_limit() const { return work_ > limits_.work_max || memory_->exhausted(); }

  Error limit_error() const {
    if (memory_->exhausted()) {
      return {"expression.limit", fmt::format("the expression needs more than {} MiB of memory; work on less data at a time",
                                              limits_.memory_bytes_max / (1024 * 1024))};
    }
    return {"expression.limit", "the expression works too long; look for endless recursion, a costly regular expression or too much data"};
  }

  Error describe(JSValue thrown, std::string_view code, std::string_view what) {
    if (over_limit()) return limit_error();
    const ScriptError error = script_error_of(context_, thrown);
    JS_FreeValue(context_, thrown);
    if (over_limit()) return limit_error();
    if (error.code == "D1011" || error.message.contains("call stack size")) {
      return {"expression.limit", "the expression is nested or recurses too deeply; look for endless recursion, or make the last call a tail call"};
    }
    if (error.code == "D9001") return {"expression.limit", "the expression makes more than 2,000,000 items or characters at once; work on less data at a time"};
    std::string where = error.code;
    if (error.position >= 0) where += fmt::format("{}character {}", where.empty() ? "" : ", ", error.position);
    if (!where.empty()) where = fmt::format(" ({})", where);
    return {std::string(code), fmt::format("{}: {}{}", what, error.message, where)};
  }

  JSValue parsed(const std::string& text) { return JS_ParseJSON(context_, text.c_str(), text.size(), "input"); }

  Result<std::optional<Json>> evaluate_within(std::uint32_t expression, const Json& input, const Variables& variables, EvaluationContext context) {
    constexpr std::string_view kFailed = "the expression failed";
    JsonObject bindings;
    for (const auto& [name, value] : variables) bindings.insert_or_assign(name, value);
    JSValueConst arguments[] = {JS_NewUint32(context_, expression),
                                parsed(to_text(input)),
                                parsed(to_text(bindings)),
                                JS_NewInt64(context_, to_unix_ms(context.now)),
                                JS_NewUint32(context_, static_cast<std::uint32_t>(context.seed >> 32)),
                                JS_NewUint32(context_, static_cast<std::uint32_t>(context.seed))};
    for (const auto& argument : arguments) {
      if (JS_IsException(argument)) return fail(describe(JS_GetException(context_), "expression.failed", "the expression's input is no JSON"));
    }
    JSValue promise = JS_Call(context_, evaluate_, JS_UNDEFINED, 6, arguments);
    if (JS_IsException(promise)) return fail(describe(JS_GetException(context_), "expression.failed", kFailed));
    while (!over_limit() && JS_IsJobPending(runtime_)) {
      JSContext* ran = nullptr;
      if (JS_ExecutePendingJob(runtime_, &ran) < 0) return fail(describe(JS_GetException(context_), "expression.failed", kFailed));
    }
    if (over_limit()) return fail(limit_error());
    if (JS_PromiseState(context_, promise) == JS_PROMISE_REJECTED) {
      return fail(describe(JS_PromiseResult(context_, promise), "expression.failed", kFailed));
    }
    if (JS_PromiseState(context_, promise) != JS_PROMISE_FULFILLED) return fail("expression.failed", "the expression never ends; simplify it");
    auto result = json_of(context_, JS_PromiseResult(context_, promise), limits_.result_bytes_max);
    if (over_limit()) return fail(limit_error());
    return result;
  }

  std::unique_ptr<SnapshotMemory> memory_;
  ExpressionLimits limits_;
  JSRuntime* runtime_ = nullptr;  ///< it and all values live in memory_ and go with it
  JSContext* context_ = nullptr;
  JSValue compile_ = JS_UNDEFINED;
  JSValue evaluate_ = JS_UNDEFINED;
  std::uint64_t work_ = 0;
};

ScriptEngine::ScriptEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ScriptEngine::~ScriptEngine() = default;

Result<std::unique_ptr<ScriptEngine>> ScriptEngine::make(const ExpressionLimits& limits) {
  constexpr std::size_t kEngineBytes = 128 * 1024 * 1024;
  // Blocks of one size do not serve another: what is in use may be spread over twice as much.
  auto memory = SnapshotMemory::make(kEngineBytes + 2 * limits.memory_bytes_max);
  if (!memory) return fail(memory.error());
  auto impl = std::make_unique<Impl>(std::move(*memory), limits);
  impl->boot();
  return std::unique_ptr<ScriptEngine>(new ScriptEngine(std::move(impl)));
}

Result<std::uint32_t> ScriptEngine::compile(std::string_view text) { return impl_->compile(text); }

Result<std::optional<Json>> ScriptEngine::evaluate(std::uint32_t expression, const Json& input, const Variables& variables,
                                                   EvaluationContext context) {
  return impl_->evaluate(expression, input, variables, context);
}

std::size_t ScriptEngine::kept_bytes() const { return impl_->kept_bytes(); }

}  // namespace mayfly
