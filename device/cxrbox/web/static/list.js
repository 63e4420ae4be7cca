// Keep the list of films fresh: the box answers 304 while nothing has changed.
keepFresh(document.getElementById("rows"), 800);
