package saml_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/sso"
	"github.com/orgkit/orgkit/orgs/sso/saml"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/seal"
)

func Example() {
	key, _ := seal.ParseKey(seal.GenerateKey()) // a host keeps it
	sealer, _ := seal.New(key)
	m, _ := orgs.New(memory.New(nil), &orgs.Options{Seal: sealer})
	defer m.Close()

	protocol, _ := saml.New(m.Store().Now, nil)
	handler, _ := sso.New(m, &sso.Options{URL: "https://gateway.example/sso", Seal: sealer, Protocols: []sso.Protocol{protocol}})

	// What the administrator of the identity provider is given; PUT /v1/organizations/{org}/sso is then given what it says.
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/sso/org_1/saml/metadata", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, "AssertionConsumerService ") {
			_, location, _ := strings.Cut(line, "Location=")
			fmt.Println(strings.Fields(location)[0])
		}
	}
	// Output:
	// 200 application/samlmetadata+xml
	// "https://gateway.example/sso/org_1/saml/acs"
}

func ExampleVerify() {
	c := connection()
	_, err := saml.Verify(c, asked, now, []byte(`<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>`))
	var refused *saml.Refused
	if errors.As(err, &refused) {
		fmt.Println(refused.Code)
	}
	// Output: xml_feature
}
