package saml_test

import (
	"encoding/xml"
	"flag"
	"os"
	"strings"
	"testing"

	xsaml "github.com/crewjam/saml"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/sso/saml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMetadataIsWhatItWas(t *testing.T) {
	got, err := saml.Metadata(connection(), nil, now)
	require.NoError(t, err)
	const file = "testdata/metadata.xml"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// TestMetadataOffersWhatThereIs: no key to encrypt for, no logout, no artifacts (SAML-26 to SAML-29).
func TestMetadataOffersWhatThereIs(t *testing.T) {
	c := connection()
	c.SignRequests = true
	_, err := saml.Metadata(c, nil, now)
	require.Error(t, err, "nobody signs")
	got, err := saml.Metadata(c, signer(), now)
	require.NoError(t, err)

	var d xsaml.EntityDescriptor
	require.NoError(t, xml.Unmarshal(got, &d))
	require.Equal(t, entityID, d.EntityID)
	require.True(t, d.ValidUntil.After(now))
	sp := d.SPSSODescriptors[0]
	require.True(t, *sp.AuthnRequestsSigned)
	require.True(t, *sp.WantAssertionsSigned)
	require.Len(t, sp.KeyDescriptors, 1)
	require.Equal(t, "signing", sp.KeyDescriptors[0].Use)
	require.Equal(t, base64Of(other().cert.Raw), strings.TrimSpace(sp.KeyDescriptors[0].KeyInfo.X509Data.X509Certificates[0].Data))
	require.Len(t, sp.AssertionConsumerServices, 1)
	require.Equal(t, 0, sp.AssertionConsumerServices[0].Index)
	require.Equal(t, acs, sp.AssertionConsumerServices[0].Location)
	require.Equal(t, xsaml.HTTPPostBinding, sp.AssertionConsumerServices[0].Binding)
	require.Empty(t, sp.SingleLogoutServices)
	require.Empty(t, sp.ArtifactResolutionServices)
}
