#include "expression/script_values.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cmath>

#include "base/id.h"

namespace mayfly {
namespace {

constexpr int kDepthMax = 64;
constexpr std::size_t kMessageBytesMax = 400;

class Reader {
 public:
  Reader(JSContext* context, std::size_t bytes_max) : context_(context), left_(bytes_max) {}

  std::optional<Json> read(JSValueConst value, int depth) {
    switch (JS_VALUE_GET_NORM_TAG(value)) {
      case JS_TAG_NULL: return spend(4) ? std::optional<Json>(nullptr) : std::nullopt;
      case JS_TAG_BOOL: return spend(5) ? std::optional<Json>(JS_VALUE_GET_BOOL(value) != 0) : std::nullopt;
      case JS_TAG_INT: return spend(4) ? std::optional<Json>(JS_VALUE_GET_INT(value)) : std::nullopt;
      case JS_TAG_FLOAT64: return spend(8) ? std::optional<Json>(number(JS_VALUE_GET_FLOAT64(value))) : std::nullopt;
      case JS_TAG_STRING:
      case JS_TAG_STRING_ROPE: return string(value);
      case JS_TAG_OBJECT: return object(value, depth);
      default: return std::nullopt;
    }
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  static Json number(double value) {
    // The largest doubles that int64 holds; above, a number stays a double.
    if (std::trunc(value) == value && value >= -0x1p63 && value < 0x1p63) return static_cast<std::int64_t>(value);
    if (!std::isfinite(value)) return nullptr;
    return value;
  }

  bool spend(std::size_t bytes) {
    if (error_) return false;
    if (left_ < bytes) {
      error_ = Error{"expression.limit", "the expression's result is too large; select less"};
      return false;
    }
    left_ -= bytes;
    return true;
  }

  std::optional<Json> string(JSValueConst value) {
    std::size_t size = 0;
    const char* text = JS_ToCStringLen(context_, &size, value);
    if (text == nullptr) return broken();
    std::optional<Json> result;
    if (spend(size + 2)) {
      const std::string_view bytes(text, size);
      result = is_utf8(bytes) ? Json(bytes) : Json(to_utf8_lossy(bytes));
    }
    JS_FreeCString(context_, text);
    return result;
  }

  std::optional<Json> object(JSValueConst value, int depth) {
    if (JS_IsFunction(context_, value) || is_jsonata_function(value)) return std::nullopt;
    if (depth >= kDepthMax) {
      if (!error_) error_ = Error{"expression.limit", "the expression's result is nested more than 64 levels deep; flatten it"};
      return std::nullopt;
    }
    return JS_IsArray(value) ? array(value, depth) : members(value, depth);
  }

  bool is_jsonata_function(JSValueConst value) {
    for (const char* mark : {"_jsonata_lambda", "_jsonata_function"}) {
      JSValue found = JS_GetPropertyStr(context_, value, mark);
      const bool yes = JS_IsBool(found) && JS_VALUE_GET_BOOL(found) != 0;
      JS_FreeValue(context_, found);
      if (yes) return true;
    }
    return false;
  }

  std::optional<Json> array(JSValueConst value, int depth) {
    std::int64_t length = 0;
    if (JS_GetLength(context_, value, &length) < 0) return broken();
    if (!spend(2 + static_cast<std::size_t>(length))) return std::nullopt;
    JsonArray result;
    for (std::int64_t i = 0; i < length && !error_; ++i) {
      JSValue item = JS_GetPropertyInt64(context_, value, i);
      result.emplace_back(read(item, depth + 1).value_or(nullptr));
      JS_FreeValue(context_, item);
    }
    return Json(std::move(result));
  }

  std::optional<Json> members(JSValueConst value, int depth) {
    JSPropertyEnum* names = nullptr;
    std::uint32_t count = 0;
    if (JS_GetOwnPropertyNames(context_, &names, &count, value, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) < 0) return broken();
    JsonObject result;
    for (std::uint32_t i = 0; i < count && !error_; ++i) {
      std::size_t size = 0;
      const char* name = JS_AtomToCStringLen(context_, &size, names[i].atom);
      JSValue item = JS_GetProperty(context_, value, names[i].atom);
      if (name == nullptr || JS_IsException(item)) broken();
      if (name != nullptr && spend(size + 4)) {
        if (auto json = read(item, depth + 1)) result.insert_or_assign(to_utf8_lossy({name, size}), std::move(*json));
      }
      JS_FreeValue(context_, item);
      if (name != nullptr) JS_FreeCString(context_, name);
    }
    JS_FreePropertyEnum(context_, names, count);
    return Json(std::move(result));
  }

  std::nullopt_t broken() {
    if (!error_) error_ = Error{"expression.failed", "the expression's result could not be read; give plain JSON values"};
    return std::nullopt;
  }

  JSContext* context_;
  std::size_t left_;
  std::optional<Error> error_;
};

std::string text_of(JSContext* context, JSValueConst object, const char* name) {
  JSValue value = JS_GetPropertyStr(context, object, name);
  std::string result;
  if (JS_IsString(value)) {
    std::size_t size = 0;
    if (const char* text = JS_ToCStringLen(context, &size, value)) {
      result = to_utf8_lossy({text, size});
      JS_FreeCString(context, text);
    }
  }
  JS_FreeValue(context, value);
  return result;
}

}  // namespace

std::optional<std::string> digest_hex(std::string_view algorithm, std::string_view data) {
  const EVP_MD* method = algorithm == "MD5"       ? EVP_md5()
                         : algorithm == "SHA-1"   ? EVP_sha1()
                         : algorithm == "SHA-256" ? EVP_sha256()
                         : algorithm == "SHA-384" ? EVP_sha384()
                         : algorithm == "SHA-512" ? EVP_sha512()
                                                  : nullptr;
  if (method == nullptr) return std::nullopt;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &size, method, nullptr) != 1) return std::nullopt;
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

Result<std::optional<Json>> json_of(JSContext* context, JSValueConst value, std::size_t bytes_max) {
  Reader reader(context, bytes_max);
  auto result = reader.read(value, 0);
  if (reader.error()) return fail(*reader.error());
  return result;
}

ScriptError script_error_of(JSContext* context, JSValueConst thrown) {
  ScriptError error;
  if (JS_IsObject(thrown)) {
    error.code = text_of(context, thrown, "code");
    error.message = text_of(context, thrown, "message");
    if (error.code.empty() && error.message.empty()) error.message = text_of(context, thrown, "name");
    JSValue position = JS_GetPropertyStr(context, thrown, "position");
    if (JS_IsNumber(position)) JS_ToInt64(context, &error.position, position);
    JS_FreeValue(context, position);
  }
  if (error.message.empty()) error.message = "it ended without saying why";
  if (error.message.size() > kMessageBytesMax) error.message = to_utf8_lossy(error.message.substr(0, kMessageBytesMax)) + "…";
  return error;
}

}  // namespace mayfly
