package rest

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// revisionHeader carries the token of a change to the client, and back to a read that must not be older.
const revisionHeader = "Orgkit-Revision"

type metadataKey struct{}

var listsOrganizations = regexp.MustCompile(`^/v1/organizations(/[^/]+/children)?$`)

// metadataOf are the conditions on metadata in the query.
func metadataOf(ctx context.Context) map[string]string {
	meta, _ := ctx.Value(metadataKey{}).(map[string]string)
	return meta
}

// readable refuses a query that cannot be parsed: the part that can would be a wider one. Conditions on
// metadata are taken out of it where they mean something, since their names are the client's.
func (a *api) readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.ContainsRune(r.URL.Path, 0) || !utf8.ValidString(r.URL.Path) { // there is nothing of such a name
			httpapi.WriteError(w, r, store.ErrNotFound, a.edge)
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil || strings.Contains(r.URL.RawQuery, "%00") || !validTexts(query) {
			httpapi.WriteError(w, r, faulty("query", "pattern", "is not a well-formed query"), a.edge)
			return
		}
		if r.Method == http.MethodGet && listsOrganizations.MatchString(strings.TrimPrefix(r.URL.Path, a.opt.Prefix)) {
			meta := map[string]string{}
			for name, values := range query {
				if key, ok := strings.CutPrefix(name, "metadata."); ok && key != "" {
					meta[key] = values[0]
					query.Del(name)
				}
			}
			r = r.WithContext(context.WithValue(r.Context(), metadataKey{}, meta))
			u := *r.URL
			u.RawQuery = query.Encode()
			r.URL = &u
		}
		next.ServeHTTP(w, r)
	})
}

// validTexts says whether all names and values are UTF-8.
func validTexts(query url.Values) bool {
	for name, values := range query {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return true
}

type matchKey struct{}

// conditional reads If-Match and the revision that a read demands, and answers with the revision that a
// change came to.
func (a *api) conditional(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, out := r.Context(), &answering{ResponseWriter: w}
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			if token := r.Header.Get(revisionHeader); token != "" {
				least, err := rbac.ParseRevision("header."+revisionHeader, token)
				if err != nil {
					httpapi.WriteError(w, r, faulty("header."+revisionHeader, "pattern", "is not a revision token"), a.edge)
					return
				}
				ctx = rbac.WithRevision(ctx, least)
			}
		} else {
			ctx, out.receipt = rbac.WithReceipt(ctx)
			if tags := r.Header.Values("If-Match"); len(tags) > 0 {
				versions := versionsOf(strings.Join(tags, ","))
				ctx = context.WithValue(rbac.WithPrecondition(ctx, versions...), matchKey{}, &versions)
			}
		}
		next.ServeHTTP(out, r.WithContext(context.WithValue(ctx, answeringKey{}, out)))
	})
}

// versionsOf reads the entity tags of If-Match (RFC 9110, 13.1.1); "*" is none of them, any will do. A tag
// that was not made here, or a weak one, matches no version.
func versionsOf(tags string) (versions []int64) {
	for tag := range strings.SplitSeq(tags, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" {
			return nil
		}
		n, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
		if err != nil || !strings.HasPrefix(tag, `"`) {
			n = -1
		}
		versions = append(versions, n)
	}
	return versions
}

// matches answers a *store.ConflictError version_mismatch where the request was made for another version. It
// says whether the request named any.
func matches(ctx context.Context, version int64) (named bool, err error) {
	versions, _ := ctx.Value(matchKey{}).(*[]int64)
	if versions == nil {
		return false, nil
	}
	if len(*versions) > 0 && !slices.Contains(*versions, version) {
		return true, &store.ConflictError{Code: "version_mismatch", Message: "it has another version by now; read it again"}
	}
	return true, nil
}

// answering adds to an answer what is known only when it begins, and turns Huma's 422 for a faulty request
// into this dialect's 400.
type answering struct {
	http.ResponseWriter
	receipt *rbac.Receipt
	begun   bool
	exact   bool // its status is not Huma's
}

type answeringKey struct{}

// WriteHeader begins the answer.
func (w *answering) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		if w.receipt != nil {
			if r := w.receipt.Revision(); len(r) > 0 {
				w.Header().Set(revisionHeader, r.String())
			}
		}
	}
	if status == http.StatusUnprocessableEntity && !w.exact {
		status = http.StatusBadRequest
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer if nothing has.
func (w *answering) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}
