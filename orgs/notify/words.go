package notify

import (
	"fmt"
	"path"
	"strings"
	"text/template"
)

// words are the texts of one language: a file of named templates in the directory words. They are plain text; the
// layouts escape what they show.
type words struct {
	language                  string
	texts                     *template.Template
	point, group, percentSign string
}

var dictionary = load()

// load reads all languages. A file that cannot be read is a programmer's mistake.
func load() map[string]*words {
	all := map[string]*words{}
	entries, err := files.ReadDir("words")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		w := &words{language: strings.TrimSuffix(e.Name(), ".tmpl")}
		w.texts = template.Must(template.New(w.language).Option("missingkey=error").ParseFS(files, path.Join("words", e.Name())))
		for name, to := range map[string]*string{"point": &w.point, "group": &w.group, "percent": &w.percentSign} {
			if *to, err = w.raw(name, nil); err != nil {
				panic(err)
			}
		}
		all[w.language] = w
	}
	return all
}

// wordsIn are those of a language tag (BCP 47), of its language where there are none of its region, else English.
func wordsIn(tag string) *words {
	tag = strings.ToLower(tag)
	base, _, _ := strings.Cut(tag, "-")
	for _, name := range []string{tag, base} {
		if w, is := dictionary[name]; is {
			return w
		}
	}
	return dictionary["en"]
}

// say fills in a text.
func (w *words) say(name string, vars map[string]string) (string, error) {
	text, err := w.raw(name, vars)
	return strings.TrimSpace(text), err
}

// raw is say with the spaces at both ends, which are part of how numbers are written.
func (w *words) raw(name string, vars map[string]string) (string, error) {
	var b strings.Builder
	if err := w.texts.ExecuteTemplate(&b, name, vars); err != nil {
		return "", fmt.Errorf("notify: the text %s in %s cannot be written", name, w.language) // the cause may quote what is in it
	}
	return b.String(), nil
}
