#include "server/oauth/consent_page.h"

#include "server/oauth/oauth_text.h"

namespace mayfly::oauth {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1b1b1f;background:#fff}"
    "h1{font-size:1.3rem}code{overflow-wrap:anywhere}fieldset{border:1px solid #ccc;border-radius:.5rem}label{display:block;margin:.3rem 0}"
    "input[type=password]{width:100%;box-sizing:border-box;padding:.5rem;font:inherit}button{font:inherit;padding:.5rem 1.2rem;margin:1rem "
    ".5rem 0 0}"
    ".problem{color:#a40000}@media(prefers-color-scheme:dark){body{color:#e6e6ea;background:#17171b}.problem{color:#ff8a80}}";

struct Meaning {
  Scope scope;
  std::string_view text;
};
constexpr Meaning kMeanings[] = {{Scope::Read, "see agents, functions, runs and files"},
                                 {Scope::Invoke, "start agents and functions, which may cost money"},
                                 {Scope::Answer, "answer questions that runs ask people"},
                                 {Scope::Files, "change files and workspaces"}};

net::Response page(int status, std::string_view title, std::string body, std::string form_action) {
  std::string html =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>";
  html += title;
  html += "</title><style>";
  html += kStyle;
  html += "</style></head><body><main>" + std::move(body) + "</main></body></html>\n";
  return {status,
          {{"Content-Type", "text/html; charset=utf-8"},
           {"Cache-Control", "no-store"},
           {"Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action " + form_action},
           {"X-Frame-Options", "DENY"},
           {"Referrer-Policy", "no-referrer"}},
          std::move(html)};
}

}  // namespace

net::Response consent_page(const Consent& consent, int status) {
  const std::string name = escape_html(consent.client_name.empty() ? "A program without a name" : consent.client_name);
  std::string body = "<h1>" + name + " asks to use Mayfly for you</h1>";
  if (!consent.problem.empty()) body += "<p class=\"problem\" role=\"alert\">" + escape_html(consent.problem) + "</p>";
  body += "<p>Server: <code>" + escape_html(consent.server) + "</code><br>The program goes on at: <strong>" +
          escape_html(host_of(consent.redirect_uri)) + "</strong><br>Its id: <code>" + escape_html(consent.client_id) +
          "</code></p><p>Go on only if you started this yourself just now: the name above is what the program says of itself.</p>"
          "<form method=\"post\" action=\"/oauth/authorize\"><input type=\"hidden\" name=\"request\" value=\"" +
          escape_html(consent.request) + "\"><fieldset><legend>It may</legend>";
  for (const Meaning& meaning : kMeanings)
    if (consent.scopes.has(meaning.scope))
      body += "<label><input type=\"checkbox\" checked name=\"scope_" + std::string(to_string(meaning.scope)) + "\" value=\"on\"> " +
              std::string(meaning.text) + " (" + std::string(to_string(meaning.scope)) + ")</label>";
  body +=
      "</fieldset><label for=\"key\">Your API key</label><input type=\"password\" id=\"key\" name=\"key\" autocomplete=\"off\" "
      "spellcheck=\"false\">"
      "<p>The program never sees the key. What it does counts as done by you, and ends when the key is revoked.</p>"
      "<button name=\"decision\" value=\"allow\">Allow</button><button name=\"decision\" value=\"deny\" "
      "formnovalidate>Deny</button></form>";
  // Browsers apply form-action to the redirect that follows, too.
  return page(status, "Allow access", std::move(body), "'self' " + csp_source_of(consent.redirect_uri));
}

net::Response refusal_page(int status, std::string_view message) {
  return page(status, "Not possible",
              "<h1>This request for access cannot be answered</h1><p>" + escape_html(message) +
                  "</p><p>Go back to the program that sent you here.</p>",
              "'none'");
}

}  // namespace mayfly::oauth
