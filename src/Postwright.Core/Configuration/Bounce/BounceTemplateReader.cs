using System.Text;
using Postwright.Core.Posix;

namespace Postwright.Core.Configuration.Bounce;

/// <summary>
/// Reads a template file: <c>name_template = &lt;&lt;END</c>, template headers, an empty line, text, END. Comments and empty lines
/// count nowhere outside a template. A template with an error is told of and ignored; a line that is no setting ends the reading.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="warn">Takes what is wrong, in Postfix's words.</param>
internal sealed class BounceTemplateReader(string path, Action<string> warn)
{
    private const string NameEnd = "_template";
    private const string Ignored = " template -- ignoring this template";

    private string[] _lines = [];
    private int _next;

    /// <summary>Lines are counted as Postfix counts them, the one to come included.</summary>
    private string Place => $"{path}, line {_next + 1}";

    public BounceTemplates Read(out string? trouble)
    {
        BounceTemplates templates = BounceTemplates.BuiltIn;
        if (ConfigurationFile.ReadBytes(path, out byte[] bytes) is { } reason)
        {
            trouble = DeliveryFile.Stat(path, out FileFacts facts) == 0 && facts.IsDirectory ? $"read {path}: Is a directory" : $"open {path}: {reason}";
            return templates;
        }

        string text = Encoding.Latin1.GetString(bytes);
        _lines = text.EndsWith('\n') ? text[..^1].Split('\n') : text.Split('\n');
        while (NextSetting() is { } line)
        {
            if (MainCf.SplitNameValue(line, out string name, out string value) is { } wrong)
            {
                trouble = $"{Place}: {wrong}";
                return templates;
            }

            IReadOnlyList<string>? body = [value];
            if (value.StartsWith("<<", StringComparison.Ordinal))
            {
                string end = value[2..].Trim();
                if (end.Length == 0)
                {
                    trouble = $"{Place}: missing end marker after <<";
                    return templates;
                }

                body = ReadBody(end);
            }

            if (Find(templates, name) is not { } standard)
            {
                warn($"{Place}: unknown template name: {name} -- ignoring this template");
            }
            else if (Parse(standard, body) is { } template)
            {
                templates = templates.With(template);
            }
        }

        trouble = null;
        return templates;
    }

    /// <summary>The built-in template that a name replaces; what a file leaves out stays as built in.</summary>
    private static BounceTemplate? Find(BounceTemplates templates, string name)
        => name.EndsWith(NameEnd, StringComparison.Ordinal) ? BounceTemplates.BuiltIn.All.FirstOrDefault(t => t.Name == name[..^NameEnd.Length]) : null;

    private string? NextSetting()
    {
        while (_next < _lines.Length)
        {
            string line = _lines[_next++].TrimEnd('\r');
            if (!Postconf.MainCfEdit.IsBetweenLines(line))
            {
                return line;
            }
        }

        return null;
    }

    private List<string> ReadBody(string end)
    {
        var body = new List<string>();
        while (_next < _lines.Length)
        {
            string line = _lines[_next++].TrimEnd('\r');
            if (line == end)
            {
                return body;
            }

            body.Add(line);
        }

        warn($"{Place}: missing \"{end}\" end marker");
        return body;
    }

    private BounceTemplate? Parse(BounceTemplate standard, IReadOnlyList<string> body)
    {
        BounceTemplate template = standard with { Origin = path };
        int at = 0;
        for (; at < body.Count && TryHeader(body[at], out string label, out string value); at++)
        {
            string? trouble =
                value.Length == 0 ? $"empty \"{label}\" header value"
                : !Ascii.IsValid(value) ? $"non-ASCII \"{label}\" header value"
                : null;
            switch (label.ToLowerInvariant())
            {
                case "charset":
                    template = template with { Charset = value };
                    break;
                case "from":
                    template = template with { From = value };
                    break;
                case "subject":
                    template = template with { Subject = value };
                    break;
                case "postmaster-subject" when standard.PostmasterSubject is not null:
                    template = template with { PostmasterSubject = value };
                    break;
                case "postmaster-subject":
                    trouble ??= $"inapplicable \"{label}\" header label";
                    break;
                default:
                    trouble ??= $"unknown \"{label}\" header label";
                    break;
            }

            if (trouble is not null)
            {
                warn($"{path}: {trouble} in {standard.Name}{Ignored}");
                return null;
            }
        }

        if (at < body.Count && body[at].Trim().Length == 0)
        {
            at++;
        }

        return Check(template with { Lines = [.. body.Skip(at)] });
    }

    private BounceTemplate? Check(BounceTemplate template)
    {
        if (template.Lines.Count == 0)
        {
            warn($"{path}: missing message text in {template.Name}{Ignored}");
            return null;
        }

        if (template.Charset.Equals("us-ascii", StringComparison.OrdinalIgnoreCase) && !template.Lines.All(line => Ascii.IsValid(line)))
        {
            warn($"{path}: 8-bit message text in {template.Name} template");
            warn("please specify a charset value other than us-ascii");
            warn("-- ignoring this template for now");
            return null;
        }

        return template;
    }

    private static bool TryHeader(string line, out string label, out string value)
    {
        int colon = line.IndexOf(':', StringComparison.Ordinal);
        label = colon > 0 ? line[..colon].TrimEnd(' ', '\t') : "";
        value = colon > 0 ? line[(colon + 1)..].TrimStart() : "";
        return label.Length > 0 && !label.AsSpan().ContainsAnyExceptInRange('!', '~');
    }
}
