package hclsource_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/hclsource"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	text := func(s string) hclsource.Key { return hclsource.Key{Present: true, Text: s} }
	number := func(s string) hclsource.Key { return hclsource.Key{Present: true, Text: s, Number: true} }
	instance := func(name string, key ...hclsource.Key) hclsource.Instance {
		i := hclsource.Instance{Name: name}
		if len(key) > 0 {
			i.Key = key[0]
		}
		return i
	}
	for in, want := range map[string]hclsource.Address{
		"aws_vpc.main":         {Mode: "resource", Type: "aws_vpc", Instance: instance("main")},
		"aws_vpc.main[0]":      {Mode: "resource", Type: "aws_vpc", Instance: instance("main", number("0"))},
		`aws_vpc.main["0"]`:    {Mode: "resource", Type: "aws_vpc", Instance: instance("main", text("0"))},
		`aws_vpc.main[""]`:     {Mode: "resource", Type: "aws_vpc", Instance: instance("main", text(""))},
		"data.aws_ami.a":       {Mode: "data", Type: "aws_ami", Instance: instance("a")},
		"ephemeral.x_y.z":      {Mode: "ephemeral", Type: "x_y", Instance: instance("z")},
		"module.a":             {Modules: []hclsource.Instance{instance("a")}},
		"module.module.module": {Modules: []hclsource.Instance{instance("module")}, Mode: "", Type: "", Instance: hclsource.Instance{}},
		`module.a["k.[\"]"].module.b[2].data.aws_x.y["a\nb"]`: {
			Modules: []hclsource.Instance{instance("a", text(`k.["]`)), instance("b", number("2"))},
			Mode:    "data", Type: "aws_x", Instance: instance("y", text("a\nb")),
		},
		`a_b.c["$${x} %%{y} \\ ü"]`: {Mode: "resource", Type: "a_b", Instance: instance("c", text(`${x} %{y} \ ü`))},
		"google-beta_x.y-z":         {Mode: "resource", Type: "google-beta_x", Instance: instance("y-z")},
	} {
		got, err := hclsource.ParseAddress(in)
		if in == "module.module.module" {
			if err == nil {
				t.Errorf("%s was accepted", in)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "aws_vpc", "aws_vpc.", ".main", "aws_vpc.main.x", "aws_vpc.main[0][1]", "module", "module.", `module["a"].x.y`, "data.x", "data",
		"aws_vpc[0].main", `aws_vpc.main["a]`, "aws_vpc.main[*]", "aws_vpc.main[a]", `aws_vpc.main["${x}"]`, "aws vpc.main", "aws_vpc.main\n", "a.0.b",
		"a.b[" + strings.Repeat("9", 70_000) + "]",
	} {
		if got, err := hclsource.ParseAddress(in); err == nil {
			t.Errorf("%.50q was accepted as %+v", in, got)
		}
	}
}

// write puts an address together as Terraform does.
func write(a hclsource.Address) string {
	var b strings.Builder
	part := func(prefix string, i hclsource.Instance) {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(prefix + i.Name)
		switch {
		case i.Key.Number:
			b.WriteString("[" + i.Key.Text + "]")
		case i.Key.Present:
			escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "${", "$${", "%{", "%%{").Replace(i.Key.Text)
			b.WriteString(`["` + escaped + `"]`)
		}
	}
	for _, m := range a.Modules {
		part("module.", m)
	}
	switch a.Mode {
	case "":
	case "resource":
		part(a.Type+".", a.Instance)
	default:
		part(a.Mode+"."+a.Type+".", a.Instance)
	}
	return b.String()
}

// Whatever is read as an address means the same when it is written again.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"aws_vpc.main", `module.a["k.[\"]"].module.b[2].data.aws_x.y["a\nb"]`, `a_b.c["$${x}"]`, "ephemeral.a.b[0]", "a.b[1.5]", "a.b[-1]", `a.b["\u00e4"]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := hclsource.ParseAddress(in)
		if err != nil {
			return
		}
		for _, i := range append(a.Modules, a.Instance) {
			if i.Key.Number {
				if _, err := strconv.Atoi(i.Key.Text); err != nil {
					t.Errorf("%q has the number %q", in, i.Key.Text)
				}
			}
		}
		again, err := hclsource.ParseAddress(write(a))
		if err != nil || !reflect.DeepEqual(a, again) {
			t.Errorf("%q became %+v, written %q, read %+v, %v", in, a, write(a), again, err)
		}
	})
}
