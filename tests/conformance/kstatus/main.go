// Command kstatus says what tools make of Kubernetes objects: kstatus (Flux, Helm, kpt) with its own library, Argo CD
// with its Lua interpreter and the scripts that are installed in it.
//
// Standard input holds one JSON object a line, a question; standard output gets one answer a line, in the same order.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Question is an object, and the scripts of Argo CD that are asked about it, if any.
type Question struct {
	Object    *unstructured.Unstructured `json:"object"`
	Health    string                     `json:"health"`
	Discovery string                     `json:"discovery"`
	Actions   map[string]string          `json:"actions"`
}

// Verdict is one word and one sentence.
type Verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Answer holds what each tool says; what was not asked is absent.
type Answer struct {
	Kstatus   Verdict                   `json:"kstatus"`
	Health    *Verdict                  `json:"health,omitempty"`
	Available []string                  `json:"available,omitempty"`
	Actions   map[string]map[string]any `json:"actions,omitempty"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(input io.Reader, output io.Writer) error {
	questions, answers := json.NewDecoder(bufio.NewReader(input)), json.NewEncoder(output)
	for {
		var question Question
		if err := questions.Decode(&question); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a question: %w", err)
		}
		answer, err := judge(question)
		if err != nil {
			return fmt.Errorf("%s %s: %w", question.Object.GetKind(), question.Object.GetName(), err)
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func judge(question Question) (Answer, error) {
	result, err := status.Compute(question.Object)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Kstatus: Verdict{Status: result.Status.String(), Message: result.Message}}
	if question.Health != "" {
		if answer.Health, err = health(question.Object, question.Health); err != nil {
			return Answer{}, fmt.Errorf("health: %w", err)
		}
	}
	if question.Discovery != "" {
		if answer.Available, err = available(question.Object, question.Discovery); err != nil {
			return Answer{}, fmt.Errorf("discovery: %w", err)
		}
	}
	answer.Actions = map[string]map[string]any{}
	for name, script := range question.Actions {
		if answer.Actions[name], err = act(question.Object, script); err != nil {
			return Answer{}, fmt.Errorf("action %s: %w", name, err)
		}
	}
	return answer, nil
}
