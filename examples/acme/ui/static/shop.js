"use strict";

const status = document.getElementById("status");
const list = document.getElementById("items");

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || answer.statusText);
  return body;
}

function card(item) {
  const element = document.createElement("li");
  const name = document.createElement("h3");
  name.textContent = item.name;
  const about = document.createElement("p");
  about.textContent = item.description;
  const price = document.createElement("strong");
  price.textContent = (item.cents / 100).toLocaleString(undefined, { style: "currency", currency: "USD" });
  element.append(name, about, price);
  return element;
}

async function show() {
  try {
    const goods = await ask("/api/items");
    list.replaceChildren(...goods.items.map(card));
    status.textContent = `Open · api version ${goods.version}`;
  } catch (error) {
    status.textContent = `Closed for a moment: ${error.message}`;
    setTimeout(show, 2000);
  }
}

show();
