package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store/jobs/outbound"
)

// bucket is a bucket of an object store.
type bucket struct {
	x      *Exporter
	client *minio.Client
	to     audit.Destination
}

func (x *Exporter) bucket(ctx context.Context, c audit.Config, d audit.Destination) (sink, outcome) {
	keys, out := x.credentials(ctx, c, d)
	if out.failed() {
		return nil, out
	}
	endpoint := d.Endpoint
	if endpoint == "" {
		endpoint = x.aws
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, lasting("its endpoint has more than a host")
	}
	region := d.Region
	if x.opt.Rules.IsCode(region) {
		region = ""
	}
	if region == "" && d.Endpoint != "" {
		region = "us-east-1" // what stores that know no regions sign for
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: keys, Secure: u.Scheme == "https", Region: region, Transport: x.caller(c), MaxRetries: 1})
	if err != nil {
		return nil, lasting("its endpoint is that of no object store")
	}
	b := &bucket{x: x, client: client, to: d}
	if region == "" && c.Compliance.DataResidency != "" {
		return b, b.resides(ctx, c.Compliance.DataResidency)
	}
	return b, outcome{}
}

// credentials are those of the destination, or those that the host gives.
func (x *Exporter) credentials(ctx context.Context, c audit.Config, d audit.Destination) (*credentials.Credentials, outcome) {
	id, set, out := x.secret(c, d, "access_key_id")
	if out.failed() {
		return nil, out
	}
	secret, _, out := x.secret(c, d, "secret_access_key")
	if out.failed() {
		return nil, out
	}
	keys := Credentials{AccessKeyID: id.Reveal(), SecretAccessKey: secret}
	if !set {
		err := errors.New("none")
		if x.opt.Credentials != nil {
			keys, err = x.opt.Credentials(ctx, c.ID, d)
		}
		if err != nil {
			return nil, lasting("it has no access_key_id and secret_access_key, and the host gives none")
		}
	}
	return credentials.NewStaticV4(keys.AccessKeyID, keys.SecretAccessKey.Reveal(), keys.SessionToken.Reveal()), outcome{}
}

// resides finds out where a bucket lies of which nothing else says so.
func (b *bucket) resides(ctx context.Context, in string) outcome {
	region, err := b.client.GetBucketLocation(ctx, b.to.Bucket)
	if err != nil {
		return b.judged(err)
	}
	if place := b.x.opt.Rules.Place(region); place != "" && place != in {
		return lasting(fmt.Sprintf("the bucket lies in %s and not in %s", place, in))
	}
	return outcome{}
}

func (b *bucket) load(ctx context.Context, a *attempt) (*batch, error) {
	d := a.delivery
	var lines bytes.Buffer
	var m audit.Manifest
	var err error
	begun := d.Until > d.Next
	if begun {
		m, err = b.x.log.ExportRange(ctx, &lines, d.OrgID, d.Next, d.Until)
	} else {
		m, err = b.x.log.Export(ctx, &lines, d.OrgID, d.Next, b.x.opt.Bytes)
	}
	out := &batch{first: m.First, below: m.Size, events: int(m.Size - m.First), manifest: m}
	switch {
	case err != nil:
		return nil, err
	case out.events == 0 && begun:
		out.below = max(m.Size, d.Until) // it is pruned
	case out.events == 0, a.sent && !begun && lines.Len() < b.x.opt.Bytes: // the rest waits until it is much or old
		out.below = d.Next
	default:
		if out.name, err = b.name(ctx, d.OrgID, m, lines.Bytes()); err != nil {
			return nil, err
		}
		out.body, err = packed(lines.Bytes())
	}
	return out, err
}

func packed(lines []byte) ([]byte, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression) // written once, and kept for years
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(lines); err != nil {
		return nil, err
	}
	err = z.Close()
	return buf.Bytes(), err
}

// name is that of an object, without its end.
func (b *bucket) name(ctx context.Context, orgID string, m audit.Manifest, lines []byte) (string, error) {
	var first struct {
		Time time.Time `json:"time"`
	}
	line, _, _ := bytes.Cut(lines, []byte("\n"))
	if err := json.Unmarshal(line, &first); err != nil {
		return "", err
	}
	root, err := b.x.log.Root(ctx, orgID, m.Size)
	return b.prefix() + first.Time.UTC().Format("2006/01/02/") + fmt.Sprintf("%s-%012d-%012d-%s", orgID, m.First, m.Size, hex.EncodeToString(root[:4])), err
}

// prefix ends with a slash where there is one.
func (b *bucket) prefix() string {
	if p := b.to.Prefix; p != "" && !strings.HasSuffix(p, "/") {
		return p + "/"
	}
	return b.to.Prefix
}

// The ends of names.
const (
	linesEnd = ".jsonl.gz"
	proofEnd = ".proof.json"
	probeKey = ".orgkit-probe"
)

// sumMeta says in the object which lines it holds.
const sumMeta = "Lines-Sha256"

func (b *bucket) send(ctx context.Context, out *batch) outcome {
	m := out.manifest
	there, err := b.create(ctx, out.name+linesEnd, "application/gzip", out.body, map[string]string{sumMeta: m.SHA256})
	if err == nil && there {
		m.SHA256, err = b.sum(ctx, out.name+linesEnd, m.SHA256)
	}
	if err != nil {
		return b.judged(err)
	}
	proof, err := json.Marshal(m)
	if err == nil {
		_, err = b.create(ctx, out.name+proofEnd, "application/json", proof, nil)
	}
	return b.judged(err)
}

// create puts an object where there is none of its name; else there is true.
func (b *bucket) create(ctx context.Context, key, contentType string, body []byte, meta map[string]string) (there bool, err error) {
	o := b.options(contentType, meta)
	o.SetMatchETagExcept("*")
	err = b.put(ctx, key, body, o)
	var res minio.ErrorResponse
	if errors.As(err, &res) && res.StatusCode == http.StatusPreconditionFailed {
		return true, nil
	}
	return false, err
}

func (b *bucket) options(contentType string, meta map[string]string) minio.PutObjectOptions {
	o := minio.PutObjectOptions{ContentType: contentType, UserMetadata: meta, DisableMultipart: true, SendContentMd5: true}
	if b.to.Encryption != "" {
		o.ServerSideEncryption = encrypt.NewSSE()
	}
	return o
}

func (b *bucket) put(ctx context.Context, key string, body []byte, o minio.PutObjectOptions) error {
	_, err := b.client.PutObject(ctx, b.to.Bucket, key, bytes.NewReader(body), int64(len(body)), o)
	return err
}

// sum is the hash of the lines of an object that was there: of before a person was erased, perhaps. Who may only write
// cannot ask; then it is taken for what would be written now.
func (b *bucket) sum(ctx context.Context, key, otherwise string) (string, error) {
	info, err := b.client.StatObject(ctx, b.to.Bucket, key, minio.StatObjectOptions{})
	var res minio.ErrorResponse
	switch {
	case errors.As(err, &res) && res.StatusCode == http.StatusForbidden:
		return otherwise, nil
	case err != nil:
		return "", err
	}
	for name, value := range info.UserMetadata {
		if strings.EqualFold(name, sumMeta) && len(value) == len(otherwise) {
			return value, nil
		}
	}
	return otherwise, nil
}

func (b *bucket) probe(ctx context.Context) outcome {
	return b.judged(b.put(ctx, b.prefix()+probeKey, []byte("orgkit\n"), b.options("text/plain", nil)))
}

// reasons are what object stores say, for the organization. What else stands in their answers may hold anything.
var reasons = map[string]string{
	"NoSuchBucket":                    "there is no such bucket",
	"AccessDenied":                    "access is denied: the key needs s3:PutObject below the prefix",
	"InvalidAccessKeyId":              "there is no such access key",
	"XAdminUserNotFound":              "there is no such access key", // of versitygw
	"SignatureDoesNotMatch":           "the secret access key is wrong",
	"AuthorizationHeaderMalformed":    "the bucket lies in another region",
	"PermanentRedirect":               "the bucket lies in another region",
	"TemporaryRedirect":               "the bucket lies in another region",
	"RequestTimeTooSkewed":            "its clock and that of the host differ",
	"ExpiredToken":                    "the key has expired",
	"KMS.DisabledException":           "the key of its encryption is disabled",
	"InvalidEncryptionAlgorithmError": "it cannot encrypt in that way",
	"NotImplemented":                  "it does not know what is asked of it",
}

// judged is the outcome of a call of the client.
func (b *bucket) judged(err error) outcome {
	if err == nil {
		return outcome{}
	}
	var e *outbound.Error
	var res minio.ErrorResponse
	if errors.As(err, &e) || !errors.As(err, &res) || res.StatusCode == 0 {
		return judged(nil, err, b.x.store.Now())
	}
	out := judged(&http.Response{StatusCode: res.StatusCode}, nil, b.x.store.Now())
	if reason, known := reasons[res.Code]; known {
		out.reason = reason
	}
	out.refused = false
	out.lasting = out.lasting && res.StatusCode != http.StatusConflict // two that write one name at the same time
	return out
}
