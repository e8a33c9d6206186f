package archtest

// module is the import path of the repository's root.
const module = "github.com/tollgate/tollgate/"

// A ring is a layer of the product. A package imports packages of lower rings only, so that a
// vendor's type or a new dependency stays where it came in.
type ring int

const (
	words     ring = iota // vocabulary: no I/O, no vendor types
	adapters              // one foreign thing each; never another adapter
	services              // rendering, and what is built on the storage contract
	decisions             // carries out what the state machine decides
	doors                 // what the outside talks to
	stage                 // people and places for demonstrations and end-to-end tests
	wiring                // programs
)

// room is a package's place: its ring, and the packages of its own ring that it may import all
// the same. Paths are relative to the module.
type room struct {
	ring ring
	may  []string
}

// rooms is the table. A package that isn't in it fails the test until it has been given a ring.
var rooms = map[string]room{
	"policies":       {ring: words},
	"infrastructure": {ring: words},

	"internal/fault":   {ring: words},
	"internal/redact":  {ring: words},
	"internal/confine": {ring: words},
	"internal/change":  {ring: words, may: []string{"internal/fault"}},
	"internal/bigplan": {ring: words}, // for benchmarks

	"internal/github":                  {ring: adapters},
	"internal/workspace":               {ring: adapters},
	"internal/terraform":               {ring: adapters},
	"internal/gate":                    {ring: adapters},
	"internal/hclsource":               {ring: adapters},
	"internal/project":                 {ring: adapters},
	"internal/waiver":                  {ring: adapters},
	"internal/codeowners":              {ring: adapters},
	"internal/artifact":                {ring: adapters},
	"internal/cloud":                   {ring: adapters},
	"internal/livelog":                 {ring: adapters},
	"internal/toolchain":               {ring: adapters},
	"internal/toolchain/toolchaintest": {ring: adapters, may: []string{"internal/toolchain"}},
	"internal/store":                   {ring: adapters},
	"internal/store/storetest":         {ring: adapters, may: []string{"internal/store"}},
	"internal/store/sqlite":            {ring: adapters, may: []string{"internal/store"}},
	"internal/store/postgres":          {ring: adapters, may: []string{"internal/store"}},

	"internal/lock":   {ring: services},
	"internal/queue":  {ring: services},
	"internal/audit":  {ring: services},
	"internal/report": {ring: services},
	"internal/runner": {ring: services},
	"internal/judge":  {ring: services},

	"internal/engine": {ring: decisions},
	"internal/drift":  {ring: decisions},

	"internal/webhook": {ring: doors},
	"internal/web":     {ring: doors},

	"internal/sandbox":           {ring: stage, may: []string{"internal/ghsim"}},
	"internal/engine/enginetest": {ring: stage, may: []string{"internal/ghsim"}},
	"internal/ghsim":             {ring: stage},
	"internal/ghsim/contract":    {ring: stage, may: []string{"internal/ghsim"}},

	"cmd/bot":                  {ring: wiring},
	"internal/toolchain/setup": {ring: wiring},
	"internal/archtest":        {ring: wiring},
}

// strangers import nothing of ours but what lies in their own folder, not even in their tests: a
// witness that shares code with the one it watches would share its mistakes.
var strangers = []string{"internal/ghsim"}

// owners says which packages alone may import a library, by the start of its import path. Tests
// are free: they look at the product from outside.
var owners = map[string][]string{
	"github.com/google/go-github":             {"internal/github"},
	"github.com/bradleyfalzon/ghinstallation": {"internal/github"},
	"github.com/open-policy-agent/opa":        {"internal/gate"},
	"github.com/hashicorp/terraform-exec":     {"internal/terraform"},
	"github.com/hashicorp/terraform-json":     {"internal/terraform"},
	"github.com/hashicorp/hcl":                {"internal/hclsource"},
	"github.com/zclconf/go-cty":               {"internal/hclsource"},
	"github.com/hashicorp/hc-install":         {"internal/toolchain"},
	"github.com/goccy/go-yaml":                {"internal/project", "internal/waiver", "cmd/bot"},
	"go.yaml.in/yaml":                         {"internal/project", "internal/waiver", "cmd/bot"},
	"gopkg.in/yaml":                           {"internal/project", "internal/waiver", "cmd/bot"},
	"github.com/bmatcuk/doublestar":           {"internal/project"},
	"github.com/hmarr/codeowners":             {"internal/codeowners"},
	"modernc.org/sqlite":                      {"internal/store", "internal/store/sqlite"},
	"github.com/jackc/pgx":                    {"internal/store/postgres", "internal/queue"},
	"github.com/pressly/goose":                {"internal/store", "internal/store/sqlite", "internal/store/postgres"},
	"github.com/riverqueue/river":             {"internal/queue"},
	"github.com/aws":                          {"internal/cloud"},
	"github.com/getkin/kin-openapi":           {"internal/ghsim/contract"},
	"github.com/chromedp":                     nil,
	"github.com/spf13/cobra":                  {"cmd/bot"},
	"github.com/spf13/pflag":                  {"cmd/bot"},
	"flag":                                    {"cmd/bot", "internal/toolchain/setup"},
	"testing":                                 {"internal/store/storetest", "internal/toolchain/toolchaintest", "internal/engine/enginetest"},
}

// readsEnvironment lists the packages that may look at the process's environment. Everything
// else is told: a setting that is read where it is used can be neither listed nor tested.
var readsEnvironment = []string{"cmd/bot", "internal/toolchain/toolchaintest"}
