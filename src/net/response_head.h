#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace mayfly::net {

struct HeadOptions {
  std::string_view date;                      ///< IMF-fixdate; added unless the fields have one
  std::optional<std::size_t> content_length;  ///< none: no Content-Length field
  bool is_chunked = false;
  bool is_http10 = false;
  bool keep_alive = true;
};

/// Appends the status line and header with its closing empty line (RFC 9112). Framing and connection fields among
/// `headers` are replaced by ours; a field whose name or value would break the message is left out.
void append_head(std::string& out, int status, const Headers& headers, const HeadOptions& options);

/// "Mon, 23 Nov 2026 15:54:25 GMT" (RFC 9110 §5.6.7).
std::string to_imf_date(TimePoint time);

}  // namespace mayfly::net
