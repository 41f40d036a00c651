"use strict";
(() => {
  const part = (id) => document.getElementById(id);
  const [form, text, find, copy, status, result, marked, types] =
    ["form", "text", "find", "copy", "status", "result", "marked", "types"].map(part);
  const COLORS = 7;
  let answer = null;
  let asked = 0;

  // The usual types have their color from the start, as on the program's other pages.
  const palette = ["PER", "LOC", "ORG", "MISC"];
  const color = (type) => {
    if (!palette.includes(type)) palette.push(type);
    return "c" + (palette.indexOf(type) % COLORS);
  };

  const say = (message, isProblem = false) => {
    status.textContent = message;
    status.classList.toggle("problem", isProblem);
  };

  const element = (name, className, content) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = content;
    return made;
  };

  // Whatever the text holds goes into the page as text.
  const mark = (words, entity) => {
    const made = element("mark", color(entity.entity_group), words);
    made.title = `${entity.entity_group}, score ${entity.score.toFixed(3)}`;
    made.tabIndex = 0;
    const label = element("span", "label", " " + entity.entity_group);
    label.dir = "ltr";
    made.append(label);
    return made;
  };

  const show = (content, entities) => {
    marked.replaceChildren();
    let at = 0;
    const counts = new Map();
    for (const entity of entities) {
      marked.append(content.slice(at, entity.start), mark(content.slice(entity.start, entity.end), entity));
      at = entity.end;
      counts.set(entity.entity_group, (counts.get(entity.entity_group) ?? 0) + 1);
    }
    marked.append(content.slice(at));
    types.replaceChildren();
    for (const [type, count] of counts) {
      const item = document.createElement("li");
      item.append(element("span", "sample " + color(type), type), ` ${count}`);
      types.append(item);
    }
    result.hidden = false;
  };

  const request = () => {
    const wanted = { text: text.value, offsets: "utf-16", min_score: Number(part("min-score").value) };
    const model = part("model");
    if (model) wanted.model = model.value;
    const headers = { "Content-Type": "application/json" };
    const token = part("token");
    if (token && token.value) headers.Authorization = "Bearer " + token.value;
    return { method: "POST", headers, body: JSON.stringify(wanted) };
  };

  const run = async () => {
    const content = text.value;
    const number = ++asked;
    say("…");
    find.disabled = true;
    try {
      const response = await fetch("predict", request());
      const body = await response.json();
      if (number !== asked) return;
      if (!response.ok) throw new Error(body.where ? `${body.error} (${body.where})` : body.error);
      answer = body;
      show(content, body.entities);
      const count = body.entities.length;
      say(count === 1 ? "1 entity" : `${count} entities`);
      copy.disabled = false;
    } catch (error) {
      if (number === asked) say(error.message, true);
    } finally {
      if (number === asked) find.disabled = false;
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  copy.addEventListener("click", async () => {
    const json = JSON.stringify(answer.entities, null, 2);
    try {
      await navigator.clipboard.writeText(json);
      say("copied");
    } catch {
      // Without a clipboard, as on an address that is not secure, the JSON is shown to be copied by hand.
      const shown = element("pre", "text", json);
      marked.replaceChildren(shown);
      getSelection().selectAllChildren(shown);
      say("select and copy the JSON below");
    }
  });
})();
