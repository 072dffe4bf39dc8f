package saml_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	xsaml "github.com/crewjam/saml"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/sso/saml"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
)

// TestMetadataIsImported from what is pasted and from a URL: what it says is shown, nothing is kept, and a configuration of it
// signs people in (SAML-30).
func TestMetadataIsImported(t *testing.T) {
	w := onMemory(t, nil)
	w.guard(func(roots *x509.CertPool) *outbound.Options {
		return &outbound.Options{Allow: []string{"127.0.0.1"}, RootCAs: roots}
	})
	b := w.browser()
	owner := w.tokenOf(w.owner)
	status, metadata := b.get(w.idpURL + "/metadata")
	require.Equal(t, 200, status)
	kept := w.logged("sso.*")

	status, pasted := w.imports(owner, map[string]string{"document": metadata})
	require.Equal(t, 200, status, pasted)
	settings := pasted["settings"].(map[string]any)
	require.Equal(t, []any{"saml", w.idpURL + "/metadata", w.idpURL + "/sso"}, []any{pasted["protocol"], settings["issuer"], settings["sso_url"]})
	require.Equal(t, []any{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp().cert.Raw}))}, settings["x509_cert"])
	require.Len(t, pasted["certificates"], 1)
	status, fetched := w.imports(owner, map[string]string{"url": w.idpURL + "/metadata"})
	require.Equal(t, 200, status, fetched)
	require.Equal(t, pasted, fetched)
	require.Equal(t, kept, w.logged("sso.*"), "nothing has changed")

	delete(settings, "sign_requests") // this host has no key
	change, err := json.Marshal(map[string]any{"settings": settings})
	require.NoError(t, err)
	w.config.URL, w.config.Issuer = "https://elsewhere.example/sso", "elsewhere"
	w.configure()
	r := httptest.NewRequest("PATCH", "/v1/organizations/acme/sso", strings.NewReader(string(change)))
	r.Header.Set("Authorization", "Bearer "+owner)
	rec := httptest.NewRecorder()
	w.host.Config.Handler.ServeHTTP(rec, r)
	require.Equal(t, 200, rec.Code, rec.Body)
	require.Equal(t, http.StatusSeeOther, b.signIn().StatusCode)
}

func TestImportsAreBoundedAndAskWhoMay(t *testing.T) { // SAML-30, A19, A29
	w := onMemory(t, nil)
	w.guard(func(*x509.CertPool) *outbound.Options { return nil })
	_, metadata := w.browser().get(w.idpURL + "/metadata")
	owner := w.tokenOf(w.owner)
	for field, body := range map[string]map[string]string{
		"body.document": {}, "body.url": {"url": "https://169.254.169.254/latest"}, "body.url ": {"url": w.idpURL + "/metadata"}, "body.url  ": {"url": "file:///etc/passwd"},
		"body.document ": {"document": "<x/>"}, "body.document  ": {"document": metadata, "url": w.idpURL},
	} {
		status, out := w.imports(owner, body)
		require.Equal(t, 400, status, "%v", out)
		require.Equal(t, strings.TrimSpace(field), out["errors"].([]any)[0].(map[string]any)["location"])
		for _, value := range body {
			text, err := json.Marshal(out)
			require.NoError(t, err)
			require.NotContains(t, string(text), value)
		}
	}
	status, _ := w.imports(owner, map[string]string{"surprise": "x"})
	require.Equal(t, 400, status)
	status, _ = w.imports("", map[string]string{"document": metadata})
	require.Equal(t, 401, status)
	plain := w.User("plain@acme.example")
	w.Add(orgs.Place{OrgID: w.org.ID}, plain, "member")
	status, _ = w.imports(w.tokenOf(plain), map[string]string{"document": metadata})
	require.Equal(t, 403, status)
	status, _ = w.imports(w.tokenOf(w.User("stranger@acme.example")), map[string]string{"document": metadata})
	require.Equal(t, 404, status)
}

// metadataOf is what an identity provider may publish.
func metadataOf(inside string) string {
	return `<?xml version="1.0"?><!-- ours --><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="urn:idp">` + inside + `</md:EntityDescriptor>`
}

func TestMetadataThatIsNone(t *testing.T) {
	p, err := saml.New(func() time.Time { return now }, nil)
	require.NoError(t, err)
	key := func(use string, c *x509.Certificate) string {
		return `<md:KeyDescriptor` + use + `><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + "\n " + base64Of(c.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`
	}
	redirect := `<md:SingleSignOnService Binding="` + xsaml.HTTPRedirectBinding + `" Location="https://idp.example/redirect"/>`
	post := `<md:SingleSignOnService Binding="` + xsaml.HTTPPostBinding + `" Location="https://idp.example/post"/>`
	provider := func(inside string) string {
		return `<md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` + inside + `</md:IDPSSODescriptor>`
	}
	good := provider(key(` use="signing"`, idp().cert) + key(` use="encryption"`, other().cert) + key("", idp().cert) + post + redirect)
	d, err := p.Import([]byte(metadataOf(good + `<md:SPSSODescriptor>` + key("", other().cert) + `</md:SPSSODescriptor>`)))
	require.NoError(t, err)
	require.Equal(t, []any{"urn:idp", "https://idp.example/redirect", true}, []any{d.Issuer, d.URL, d.WantsSigned})
	require.Len(t, d.Certificates, 1, "those that sign, each once")
	require.Equal(t, idp().cert.Raw, d.Certificates[0].Raw)
	d, err = p.Import([]byte(metadataOf(provider(key("", idp().cert) + post))))
	require.NoError(t, err)
	require.Equal(t, "https://idp.example/post", d.URL)

	for why, document := range map[string]string{
		"empty": "", "no XML": "{}", "cut": metadataOf(good)[:200], "two roots": metadataOf(good) + "<a/>", "an aggregate": `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + metadataOf(good) + `</md:EntitiesDescriptor>`,
		"a document type": `<!DOCTYPE a [<!ENTITY b "c">]>` + metadataOf(good)[21:], "an entity": metadataOf("&b;" + good), "no provider": metadataOf(""), "two providers": metadataOf(good + good),
		"no name": strings.Replace(metadataOf(good), `entityID="urn:idp"`, "", 1), "no key": metadataOf(provider(redirect)), "a key for other things": metadataOf(provider(key(` use="encryption"`, idp().cert) + redirect)),
		"nowhere to send": metadataOf(provider(key("", idp().cert))), "no certificate": metadataOf(strings.Replace(good, base64Of(idp().cert.Raw), "AAAA", 1)), "no base64": metadataOf(strings.Replace(good, base64Of(idp().cert.Raw), "#", 1)),
		"over": strings.Replace(metadataOf(good), "entityID", `validUntil="2001-01-01T00:00:00Z" entityID`, 1), "another namespace": strings.ReplaceAll(metadataOf(good), "SAML:2.0:metadata", "SAML:3.0:metadata"),
		"too deep": metadataOf(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)), "too much": metadataOf(strings.Repeat("<a/>", 20_001)), "too long": metadataOf(strings.Repeat(" ", 1<<20)), "another encoding": `<?xml version="1.0" encoding="UTF-16"?>` + metadataOf(good)[21:],
	} {
		_, err := p.Import([]byte(document))
		var fault *store.FieldError
		require.ErrorAs(t, err, &fault, why)
		require.Equal(t, "document", fault.Field, why)
	}
}

// FuzzImport: metadata is either taken with all that a configuration needs, or refused.
func FuzzImport(f *testing.F) {
	f.Add([]byte(metadataOf(`<md:IDPSSODescriptor><md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64Of(idp().cert.Raw) +
		`</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding="` + xsaml.HTTPRedirectBinding + `" Location="https://idp.example/"/></md:IDPSSODescriptor>`)))
	f.Add([]byte(metadataOf("")))
	f.Add([]byte("<a>"))
	p, err := saml.New(func() time.Time { return now }, nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := p.Import(document)
		if err != nil {
			require.ErrorIs(t, err, store.ErrInvalid)
			return
		}
		require.NotEmpty(t, d.Issuer)
		require.NotEmpty(t, d.URL)
		require.NotEmpty(t, d.Certificates)
	})
}

// guard serves with one that may call what the options say.
func (w *world) guard(o func(roots *x509.CertPool) *outbound.Options) {
	w.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(w.host.Certificate()) // that of every server of httptest
	var err error
	w.calls, err = outbound.New(o(roots))
	require.NoError(w.t, err)
	w.mux.Handle("/again/", http.StripPrefix("/again", w.handler()))
}

// imports asks what metadata says.
func (w *world) imports(token string, body map[string]string) (int, map[string]any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(w.t, err)
	r := httptest.NewRequest("POST", "/again/sso/acme/saml/import", strings.NewReader(string(raw)))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	w.host.Config.Handler.ServeHTTP(rec, r)
	return rec.Code, decode(w.t, rec.Body.String())
}
