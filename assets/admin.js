// The staff's pages. One module, one behaviour; every page works without any of them.
import "./js/bootstrap.js";
import "./js/requests.js";
import "./js/morph.js";
import "./js/toasts.js";
import "./js/polling.js";
import "./js/search.js";
import "./js/selects.js";
import "./js/bulk.js";
import "./js/guard.js";
import "./js/copy.js";
import "./js/forms.js";
