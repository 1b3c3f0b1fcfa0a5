"""Downloads: resumed and verified, from the web, a mirror or Mozilla Data Collective."""
