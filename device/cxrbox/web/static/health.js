// Keep the page fresh: it stands open on some desk while a disk fills up.
keepFresh(document.getElementById("health"), 5000);
