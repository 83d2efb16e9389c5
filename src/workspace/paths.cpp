#include "workspace/paths.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "base/glob.h"
#include "base/json.h"

namespace mayfly::workspace {
namespace {

struct FreeBytes {
  void operator()(utf8proc_uint8_t* bytes) const { std::free(bytes); }
};

std::unexpected<Refusal> bad(const std::string& why) {
  return refuse("ws.invalid_name", "this is not a name for a file or folder: " + why + "; use another one");
}

/// What nobody can see, or what changes how the rest is seen.
const char* refusal_of(utf8proc_int32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return "a control character";
  if (c == 0x2028 || c == 0x2029) return "a line separator";
  if ((c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x061c) return "a character that turns the writing direction";
  if (c == 0x200b || c == 0x2060 || c == 0xfeff || c == 0x00ad || c == 0x180e || (c >= 0xe0000 && c <= 0xe007f)) return "an invisible character";
  if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef)) return "a noncharacter";
  if (c == 0x2215 || c == 0x2044 || c == 0x29f8 || c == 0xff0f || c == 0xff3c || c == 0x2216 || c == 0x29f5 || c == 0xfe68) return "a character that looks like a slash";
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CS: return "a surrogate";
    case UTF8PROC_CATEGORY_CN: return "an unassigned character";
    case UTF8PROC_CATEGORY_CO: return "a private-use character";
    case UTF8PROC_CATEGORY_CF: return c == 0x200c || c == 0x200d ? nullptr : "an invisible character";  // joiners of scripts and emoji
    case UTF8PROC_CATEGORY_ZS: return c == ' ' || c == 0x3000 ? nullptr : "an unusual space";
    default: return nullptr;
  }
}

struct TypeOf {
  std::string_view extension, type;
};
constexpr std::array kTypes{
    TypeOf{"txt", "text/plain"}, TypeOf{"md", "text/markdown"}, TypeOf{"json", "application/json"}, TypeOf{"jsonl", "application/jsonl"}, TypeOf{"yaml", "application/yaml"},
    TypeOf{"yml", "application/yaml"}, TypeOf{"csv", "text/csv"}, TypeOf{"html", "text/html"}, TypeOf{"htm", "text/html"}, TypeOf{"css", "text/css"},
    TypeOf{"js", "text/javascript"}, TypeOf{"ts", "text/plain"}, TypeOf{"py", "text/x-python"}, TypeOf{"xml", "application/xml"}, TypeOf{"svg", "image/svg+xml"},
    TypeOf{"png", "image/png"}, TypeOf{"jpg", "image/jpeg"}, TypeOf{"jpeg", "image/jpeg"}, TypeOf{"gif", "image/gif"}, TypeOf{"webp", "image/webp"},
    TypeOf{"pdf", "application/pdf"}, TypeOf{"zip", "application/zip"}, TypeOf{"gz", "application/gzip"}, TypeOf{"mp3", "audio/mpeg"}, TypeOf{"wav", "audio/wav"},
    TypeOf{"mp4", "video/mp4"}, TypeOf{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    TypeOf{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}, TypeOf{"toml", "application/toml"}, TypeOf{"log", "text/plain"}};

}  // namespace

Outcome<std::string> normal_name(std::string_view name) {
  if (name.empty()) return bad("it is empty");
  if (name.size() > 4 * kNameBytesMax) return bad("it is longer than 255 bytes");
  if (!is_utf8(name)) return bad("it is not valid UTF-8");
  if (name.contains('\0')) return bad("it holds a control character");
  utf8proc_uint8_t* raw = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(name.data()), static_cast<utf8proc_ssize_t>(name.size()), &raw,
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, FreeBytes> owner(raw);
  if (size <= 0) return bad("it is not valid UTF-8");
  std::string out(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  if (out.size() > kNameBytesMax) return bad("it is longer than 255 bytes");
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(out.data());
  for (utf8proc_ssize_t left = size; left > 0;) {
    utf8proc_int32_t c = 0;
    const auto used = utf8proc_iterate(at, left, &c);
    if (used <= 0) return bad("it is not valid UTF-8");
    if (c == '/' || c == '\\') return bad("it holds a slash");
    if (const char* why = refusal_of(c)) return bad(fmt::format("it holds {} (U+{:04X})", why, static_cast<unsigned>(c)));
    at += used;
    left -= used;
  }
  if (out == "." || out == "..") return bad("'.' and '..' mean folders");
  if (out.front() == ' ' || out.back() == ' ') return bad("it begins or ends with a space");
  if (out.back() == '.') return bad("it ends with a dot");
  return out;
}

Outcome<std::string> normal_path(std::string_view path) {
  const auto invalid = [](const std::string& why) { return refuse("ws.invalid_path", why); };
  if (path.size() > 4 * kPathBytesMax) return invalid("the path is longer than 2,048 bytes; use shorter names or fewer folders");
  std::string out;
  std::size_t depth = 0;
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t end = std::min(path.find('/', from), path.size());
    if (end > from) {
      auto name = normal_name(path.substr(from, end - from));
      if (!name) return refuse("ws.invalid_path", "a part of the path is no name: " + name.error().message);
      if (++depth > kDepthMax) return invalid("the path is deeper than 64 folders; use fewer");
      out += '/';
      out += *name;
    }
    from = end + 1;
  }
  if (out.size() > kPathBytesMax) return invalid("the path is longer than 2,048 bytes; use shorter names or fewer folders");
  return out.empty() ? "/" : out;
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> out;
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t end = std::min(path.find('/', from), path.size());
    if (end > from) out.emplace_back(path.substr(from, end - from));
    from = end + 1;
  }
  return out;
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string out(folder);
  if (!out.ends_with('/')) out += '/';
  return out.append(name);
}

std::string parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::string base_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

bool matches_glob(std::string_view path, std::string_view glob) { return matches_path_glob(path, glob); }

std::string content_type_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return "application/octet-stream";
  std::string extension(name.substr(dot + 1));
  std::ranges::transform(extension, extension.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const TypeOf& known : kTypes)
    if (known.extension == extension) return std::string(known.type);
  return "application/octet-stream";
}

bool is_text(std::string_view bytes) { return !bytes.contains('\0') && is_utf8(bytes); }

}  // namespace mayfly::workspace
