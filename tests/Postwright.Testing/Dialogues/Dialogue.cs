using System.Globalization;
using System.Text;

namespace Postwright.Testing.Dialogues;

/// <summary>What a step of a dialogue does.</summary>
public enum StepKind
{
    /// <summary>The client sends bytes.</summary>
    Send,

    /// <summary>The server says this line.</summary>
    Expect,

    /// <summary>The server closes.</summary>
    ExpectEnd,

    /// <summary>The client closes its side.</summary>
    CloseClient,

    /// <summary>This line is in the log, after those before it.</summary>
    Log,

    /// <summary>The stored message contains this line.</summary>
    Stored,
}

/// <summary>A step.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Text">Bytes to send, one character each; or the line that is expected.</param>
/// <param name="Line">Its line in the file.</param>
public sealed record DialogueStep(StepKind Kind, string Text, int Line);

/// <summary>
/// An SMTP dialogue from a file. A file holds several, each after a line <c>== name</c>:
/// <code>
/// == rcpt before mail
/// smtpd_helo_required = yes        settings, on top of the runner's
/// S: 220 mx.example.com ESMTP Postfix
/// C: RCPT TO:&lt;user@example.com&gt;         CR LF is added
/// C> half a line\r                  sent as it stands: \r \n \t \\ \xHH, \{X*300} repeats X
/// S: 250 2.0.0 Ok: queued as QUEUEID
/// S.                                the server closes
/// C.                                the client closes
/// L: disconnect from ...            a log line (ours only)
/// M: Subject: x                     a line of the stored message (ours only)
/// </code>
/// <c>C*3: text {n}</c> and <c>S*3: text</c> stand for three such lines, <c>{n}</c> counting from 1. <c>#</c> begins a comment line.
/// </summary>
public sealed record Dialogue(string File, string Name, string Settings, IReadOnlyList<DialogueStep> Steps)
{
    /// <summary>Stands for a queue ID.</summary>
    public const string QueueId = "QUEUEID";

    /// <summary>Reads all dialogues of a folder.</summary>
    public static IReadOnlyList<Dialogue> ReadFolder(string folder) =>
        [.. Directory.GetFiles(folder, "*.dialogue").Order(StringComparer.Ordinal).SelectMany(ReadFile)];

    /// <summary>Reads the dialogues of a file.</summary>
    public static IEnumerable<Dialogue> ReadFile(string path)
    {
        string[] lines = System.IO.File.ReadAllLines(path, Encoding.UTF8);
        string? name = null;
        StringBuilder settings = new();
        List<DialogueStep> steps = [];
        for (int i = 0; i <= lines.Length; i++)
        {
            if (i == lines.Length || lines[i].StartsWith("== ", StringComparison.Ordinal))
            {
                if (name is not null)
                {
                    yield return new Dialogue(Path.GetFileNameWithoutExtension(path), name, settings.ToString(), [.. steps]);
                }

                if (i < lines.Length)
                {
                    name = lines[i][3..].Trim();
                    settings.Clear();
                    steps.Clear();
                }
            }
            else if (lines[i].Length > 0 && lines[i][0] != '#')
            {
                Add(path, lines[i], i + 1, settings, steps);
            }
        }
    }

    /// <summary>True if a line is what was expected, queue IDs aside.</summary>
    public static bool Matches(string expected, string actual)
    {
        int at = expected.IndexOf(QueueId, StringComparison.Ordinal);
        if (at < 0)
        {
            return expected == actual;
        }

        int end = at;
        while (end < actual.Length && char.IsAsciiLetterOrDigit(actual[end]))
        {
            end++;
        }

        return actual.Length >= at && actual[..at] == expected[..at] && end > at && Matches(expected[(at + QueueId.Length)..], actual[end..]);
    }

    /// <inheritdoc />
    public override string ToString() => $"{File}: {Name}";

    private static void Add(string path, string line, int number, StringBuilder settings, List<DialogueStep> steps)
    {
        if (line.Length > 1 && "CSLM".Contains(line[0]) && ":>.*".Contains(line[1]))
        {
            int repeat = 1;
            string rest = line[1..];
            if (rest[0] == '*')
            {
                int colon = rest.IndexOf(':', StringComparison.Ordinal);
                repeat = int.Parse(rest[1..colon], CultureInfo.InvariantCulture);
                rest = rest[colon..];
            }

            string text = rest.Length > 2 ? rest[2..] : "";
            for (int n = 1; n <= repeat; n++)
            {
                string one = repeat > 1 ? text.Replace("{n}", n.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal) : text;
                steps.Add(new DialogueStep(KindOf(line[0], rest[0]), line[0] != 'C' ? one : rest[0] == '>' ? Unescape(one) : Latin(one) + "\r\n", number));
            }
        }
        else if (line.Contains('=', StringComparison.Ordinal) && steps.Count == 0)
        {
            settings.Append(line).Append('\n');
        }
        else
        {
            throw new FormatException($"{path}:{number}: neither a setting nor a step: {line}");
        }
    }

    private static StepKind KindOf(char who, char how) => (who, how) switch
    {
        ('C', '.') => StepKind.CloseClient,
        ('C', _) => StepKind.Send,
        ('S', '.') => StepKind.ExpectEnd,
        ('S', _) => StepKind.Expect,
        ('L', _) => StepKind.Log,
        _ => StepKind.Stored,
    };

    // One character a byte.
    private static string Latin(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    private static string Unescape(string text)
    {
        StringBuilder bytes = new();
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                bytes.Append(Latin(text[i].ToString()));
                continue;
            }

            char c = text[++i];
            switch (c)
            {
                case 'r':
                    bytes.Append('\r');
                    break;
                case 'n':
                    bytes.Append('\n');
                    break;
                case 't':
                    bytes.Append('\t');
                    break;
                case 'x':
                    bytes.Append((char)Convert.ToByte(text.Substring(i + 1, 2), 16));
                    i += 2;
                    break;
                case '{':
                    int end = text.IndexOf('}', i);
                    int star = text.LastIndexOf('*', end);
                    string repeated = Unescape(text[(i + 1)..star]);
                    bytes.Insert(bytes.Length, repeated, int.Parse(text[(star + 1)..end], CultureInfo.InvariantCulture));
                    i = end;
                    break;
                default:
                    bytes.Append(c);
                    break;
            }
        }

        return bytes.ToString();
    }
}
