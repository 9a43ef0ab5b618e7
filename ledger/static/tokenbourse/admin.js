// A list that is too wide for its window scrolls sideways in a region that the keyboard reaches: it has the list's name.
document.addEventListener("DOMContentLoaded", () => {
  const region = document.getElementById("result_list")?.closest("[data-simplebar]");
  const name = document.querySelector("h1")?.textContent.trim();
  if (region && name) region.setAttribute("data-simplebar-aria-label", name);
  document.querySelector("[autofocus]")?.focus(); // a busy browser passes over the attribute now and then
});
