using System.Text;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// Edits master.cf's text: whole rows (<c>-M</c>: set, comment out, remove), fields (<c>-F</c>), overrides (<c>-P</c>: set,
/// remove). A row that is changed is written anew, folded; comments inside it come before it. All else stays.
/// </summary>
internal sealed class MasterCfEdit(PostconfOptions options, Action<string> warn)
{
    private sealed class Request(string text, string[] path, string value)
    {
        public string Text { get; } = text;

        public string[] Path { get; } = path;

        public string Value { get; } = value;

        public int Found { get; set; }

        public bool Matches(string service, string type)
            => (Path[0] is "*" || Path[0] == service) && (Path[1] is "*" || Path[1] == type);
    }

    private readonly List<Request> _requests = [];
    private readonly StringBuilder _result = new();
    private readonly StringBuilder _row = new();
    private readonly StringBuilder _raw = new();
    private readonly StringBuilder _comments = new();
    private int _lines;
    private int _rowLine;

    private bool Assigns => !options.Has('#') && !options.Has('X');

    public string? Apply(string old, string path, out string text)
    {
        text = "";
        foreach (string argument in options.Names)
        {
            if (ReadRequest(argument) is { } trouble)
            {
                return trouble;
            }
        }

        return options.Has('M') ? EditRows(old, out text) : EditParts(old, path, out text);
    }

    private string? ReadRequest(string argument)
    {
        string pattern = argument;
        string value = "";
        if (Assigns && MainCf.SplitNameValue(argument, out pattern, out value) is { } trouble)
        {
            return trouble;
        }

        int parts = options.Has('M') ? 2 : 3;
        string[] path = pattern.TrimStart().Split('/');
        if (path.Length != parts || path.Contains(""))
        {
            return options.Has('M') ? "-Me, -MX or -M# requires service_name/type"
                : options.Has('F') ? "-Fe or -FX requires service_name/type/field_name"
                : "-Pe or -PX requires service_name/type/parameter";
        }

        _requests.Add(new Request(argument, path, value));
        return options.Has('M') ? (Assigns ? CheckRow(argument, value) : null)
            : options.Has('F') ? CheckField(path[2], value)
            : CheckParameter(path[2], value);
    }

    private static string? CheckRow(string argument, string row)
    {
        var errors = new List<ConfigurationError>();
        bool isRow = MasterCf.Parse(row, "", errors).Count == 1;
        return isRow ? null
            : errors.Find(e => e.PostconfFatal is not null) is { PostconfFatal: { } fatal } && fatal.StartsWith("invalid", StringComparison.Ordinal) ? fatal
            : $"bad field count: \"{argument}\"";
    }

    private static string? CheckField(string field, string value)
        => field == "*" ? "-Fe does not accept wild-card field name"
            : !PostconfServices.FieldNames.Contains(field) ? $"invalid service attribute name: \"{field}\""
            : field != "command" && value.Any(ConfigurationText.IsSpace) ? "-Fe does not accept whitespace in non-command field"
            : null;

    private string? CheckParameter(string name, string value)
        => name == "*" ? "-Pe does not accept wild-card parameter name"
            : Assigns && value.Any(ConfigurationText.IsSpace) ? "-Pe does not accept whitespace in parameter value"
            : null;

    private string? EditRows(string old, out string text)
    {
        Request? current = null;
        bool first = false;
        foreach (string line in MainCfEdit.Lines(old))
        {
            if (MainCfEdit.IsBetweenLines(line))
            {
                _result.Append(line);
                continue;
            }

            if (!ConfigurationText.IsSpace(line[0]))
            {
                string[] words = line.Split([' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries);
                // The last request counts, as where several settings of one name are asked for.
                List<Request> matching = _requests.FindAll(r => r.Matches(words[0], words.Length > 1 ? words[1] : ""));
                current = matching.LastOrDefault();
                first = current is { Found: 0 };
                matching.ForEach(request => request.Found++);
                if (first && Assigns)
                {
                    _result.Append(Printed(current!.Value));
                    continue;
                }
            }

            _result.Append(current is null ? line : options.Has('#') ? "#" + line : "");
        }

        if (Assigns)
        {
            foreach (Request request in _requests.Where(r => r.Found == 0))
            {
                MainCfEdit.EndLine(_result).Append(Printed(request.Value));
            }
        }

        text = _result.ToString();
        return null;
    }

    private static string Printed(string row) => Printed(MasterCf.Parse(row, "", [])[0]);

    private static string Printed(MasterService service)
        => new PostconfServices(MailConfiguration.FromText("", null, new HostFacts("", [])), TextWriter.Null, _ => { })
            .Row(service, fold: true, expand: false) + "\n";

    private string? EditParts(string old, string path, out string text)
    {
        text = "";
        foreach (string line in MainCfEdit.Lines(old))
        {
            bool between = MainCfEdit.IsBetweenLines(line);
            if (!between && !ConfigurationText.IsSpace(line[0]) && FlushRow(path) is { } trouble)
            {
                return trouble;
            }

            _lines++;
            _rowLine = between || _row.Length > 0 ? _rowLine : _lines;
            _raw.Append(line);
            (between ? _comments : _row).Append(line);
        }

        if (FlushRow(path) is { } last)
        {
            return last;
        }

        foreach (Request request in _requests.Where(r => r.Found == 0))
        {
            warn($"unmatched service_name/type: \"{request.Text}\"");
        }

        text = _result.ToString();
        return null;
    }

    private string? FlushRow(string path)
    {
        string row = _row.ToString();
        string raw = _raw.ToString();
        string comments = _comments.ToString();
        _row.Clear();
        _raw.Clear();
        _comments.Clear();
        var errors = new List<ConfigurationError>();
        MasterService? service = MasterCf.Parse(row, path, errors).SingleOrDefault();
        if (errors.Find(error => error.PostconfFatal is not null) is { PostconfFatal: { } fatal })
        {
            // The row's own text begins with line 1.
            return fatal.StartsWith("file ", StringComparison.Ordinal) ? fatal.Replace(": line 1: ", $": line {_rowLine}: ", StringComparison.Ordinal) : fatal;
        }

        List<Request> requests = service is null ? [] : _requests.FindAll(r => r.Matches(service.Name, service.Type));
        if (requests.Count == 0)
        {
            _result.Append(raw);
            return null;
        }

        MainCfEdit.EndLine(_result).Append(comments);
        foreach (Request request in requests)
        {
            request.Found++;
            if (options.Has('F'))
            {
                if (SetField(ref service!, request) is { } trouble)
                {
                    return trouble;
                }
            }
            else
            {
                service = SetOverride(service!, request.Path[2], Assigns ? request.Value : null);
            }
        }

        MainCfEdit.EndLine(_result).Append(Printed(service!));
        return null;
    }

    private static string? SetField(ref MasterService service, Request request)
    {
        string[] fields = [service.Name, service.Type, .. service.Fields, service.Command];
        int field = Array.IndexOf(PostconfServices.FieldNames, request.Path[2]);
        fields[field] = request.Value;
        string arguments = field == 7 ? "" : string.Concat(service.Arguments.Select(a => a.Any(ConfigurationText.IsSpace) ? $" {{{a}}}" : " " + a));
        var errors = new List<ConfigurationError>();
        MasterService? changed = MasterCf.Parse(string.Join(' ', fields) + arguments, "", errors).SingleOrDefault();
        if (changed is null)
        {
            return $"invalid {request.Path[2]} field \"{request.Value}\" in \"{request.Value}\"";
        }

        service = changed;
        return null;
    }

    /// <summary>Puts a value in place of the old one, or behind the last option; null removes it.</summary>
    private static MasterService SetOverride(MasterService service, string name, string? value)
    {
        var arguments = new List<string>(service.Arguments);
        bool done = value is null;
        int at = 0;
        while (at < arguments.Count && arguments[at].StartsWith('-') && arguments[at] != "--")
        {
            if (arguments[at] != "-o" || at + 1 >= arguments.Count)
            {
                at++;
            }
            else if (!arguments[at + 1].StartsWith(name + "=", StringComparison.Ordinal))
            {
                at += 2;
            }
            else if (done)
            {
                arguments.RemoveRange(at, 2);
            }
            else
            {
                arguments[at + 1] = $"{name}={value}";
                done = true;
                at += 2;
            }
        }

        if (!done)
        {
            arguments.InsertRange(at, ["-o", $"{name}={value}"]);
        }

        return service with { Arguments = arguments };
    }
}
