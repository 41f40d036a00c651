//! The page at `/`: a text typed or pasted, its entities marked.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::app::App;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page and what a browser may do with it.
pub struct Page {
    html: String,
    policy: String,
}

impl Page {
    /// The page of a service. The token, where one is needed, is asked for on the page.
    pub fn new(models: &[&str], needs_token: bool, text_chars: usize) -> Self {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    // Else a browser asks for one.
                    link rel="icon" href="data:,";
                    title { "Named entities" }
                    style { (PreEscaped(ner_pages::STYLE)) (PreEscaped(STYLE)) }
                }
                body {
                    header { h1 { "Named entities" } }
                    main {
                        form id="form" {
                            label for="text" { "Text" }
                            textarea id="text" rows="6" maxlength=(text_chars) dir="auto" spellcheck="false" required autofocus {}
                            div.controls {
                                @if models.len() > 1 {
                                    label { "Model " select id="model" { @for name in models { option { (name) } } } }
                                }
                                label { "Least score " input id="min-score" type="number" min="0" max="1" step="0.05" value="0"; }
                                @if needs_token {
                                    label { "Token " input id="token" type="password" autocomplete="off"; }
                                }
                                button id="find" type="submit" { "Find entities" }
                                button id="copy" type="button" disabled { "Copy as JSON" }
                            }
                        }
                        p id="status" role="status" {}
                        section id="result" aria-label="Result" hidden {
                            p.text id="marked" dir="auto" {}
                            ul.counts id="types" {}
                        }
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        let digest = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
        Self {
            html: page.into_string(),
            // No script but ours runs, and it may ask nobody but this service.
            policy: format!(
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'; img-src data:; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    }
}

/// `/`
pub async fn answer(State(app): State<Arc<App>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, app.page.policy.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, app.page.html.clone()).into_response()
}
