"""Downloads: resumed, verified, from the web, a mirror or Mozilla Data Collective."""
