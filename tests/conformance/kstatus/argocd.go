package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

var codes = map[string]bool{
	"Healthy": true, "Progressing": true, "Suspended": true, "Degraded": true, "Missing": true, "Unknown": true,
}

// health is the verdict of a health script.
func health(object *unstructured.Unstructured, script string) (*Verdict, error) {
	var verdict Verdict
	if err := evaluate(object, script, &verdict); err != nil {
		return nil, err
	}
	if !codes[verdict.Status] {
		return nil, fmt.Errorf("%q is no health of Argo CD", verdict.Status)
	}
	return &verdict, nil
}

// available are the names of the actions that a discovery script offers and does not disable, sorted.
func available(object *unstructured.Unstructured, script string) ([]string, error) {
	var found json.RawMessage
	if err := evaluate(object, script, &found); err != nil {
		return nil, err
	}
	names := []string{}
	if string(found) == "[]" { // an empty table may be either kind of empty
		return names, nil
	}
	var actions map[string]struct {
		Disabled bool `json:"disabled"`
	}
	if err := json.Unmarshal(found, &actions); err != nil {
		return nil, err
	}
	for name, action := range actions {
		if !action.Disabled {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, nil
}

// act is the object as an action script returns it. Argo CD patches the difference.
func act(object *unstructured.Unstructured, script string) (map[string]any, error) {
	var after map[string]any
	err := evaluate(object, script, &after)
	return after, err
}

// evaluate runs a script as Argo CD does: the object is the global `obj`; of the standard libraries only the basic
// functions, `table` and, through `require`, `os.time` and `os.date` are there; and it has a second.
func evaluate(object *unstructured.Unstructured, script string, into any) error {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	libraries := map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	}
	for _, name := range []string{lua.LoadLibName, lua.BaseLibName, lua.TabLibName} {
		open := lua.P{Fn: state.NewFunction(libraries[name]), Protect: true}
		if err := state.CallByParam(open, lua.LString(name)); err != nil {
			return err
		}
	}
	state.PreloadModule(lua.OsLibName, clock)
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(script); err != nil {
		return err
	}
	encoded, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, into)
}

// clock is what Argo CD leaves of the library `os`, as far as it is asked for here.
func clock(state *lua.LState) int {
	now := func(state *lua.LState) int {
		state.Push(lua.LNumber(time.Now().Unix()))
		return 1
	}
	date := func(state *lua.LState) int {
		if format := state.CheckString(1); format != "!%Y-%m-%dT%H:%M:%SZ" {
			state.ArgError(1, "only RFC 3339 in UTC is known here")
		}
		state.Push(lua.LString(time.Now().UTC().Format(time.RFC3339)))
		return 1
	}
	state.Push(state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{"time": now, "date": date}))
	return 1
}

// value is a part of an object as Lua sees it: all numbers are of one kind.
func value(state *lua.LState, part any) lua.LValue {
	switch typed := part.(type) {
	case int64:
		return lua.LNumber(typed)
	case map[string]any:
		table := state.CreateTable(0, len(typed))
		for key, item := range typed {
			table.RawSetString(key, value(state, item))
		}
		return table
	case []any:
		table := state.CreateTable(len(typed), 0)
		for _, item := range typed {
			table.Append(value(state, item))
		}
		return table
	default:
		return luajson.DecodeValue(state, part)
	}
}
