namespace Postwright.Testing.Dialogues;

/// <summary>
/// tests/oracle-differences: where the installed Postfix says something else than the dialogue, and why that is right. One row
/// a line of a dialogue: <c>smtpd TAB file: name: line's text TAB reason</c>; <c>*</c> for the text stands for the whole dialogue, which is then not
/// played. Rows of other areas are other tests'. A row that is not used is an error, so that the list cannot outlive its reasons.
/// </summary>
public sealed class OracleDifferences
{
    private readonly List<Row> _rows = [];

    /// <summary>Reads the file.</summary>
    public static OracleDifferences Read(string path)
    {
        OracleDifferences all = new();
        foreach (string line in File.ReadAllLines(path).Where(static line => line.StartsWith("smtpd\t", StringComparison.Ordinal)))
        {
            string[] fields = line.Split('\t');
            if (fields.Length != 3 || fields[2].Trim().Length == 0)
            {
                throw new FormatException($"{path}: three fields are needed: {line}");
            }

            all._rows.Add(new Row(fields[1]));
        }

        return all;
    }

    /// <summary>Rows that no dialogue needed.</summary>
    public IReadOnlyList<string> Unused => [.. _rows.Where(static row => !row.Used).Select(static row => row.Key)];

    /// <summary>True if the whole dialogue is not for the oracle.</summary>
    public bool Skips(Dialogue dialogue) => Uses(dialogue, "*");

    /// <summary>True if a difference at this expected text is known.</summary>
    public bool Allows(Dialogue dialogue, DialogueMismatch mismatch) => Uses(dialogue, mismatch.Expected);

    private bool Uses(Dialogue dialogue, string text)
    {
        Row? row = _rows.Find(row => row.Key == $"{dialogue}: {text}");
        if (row is not null)
        {
            row.Used = true;
        }

        return row is not null;
    }

    private sealed record Row(string Key)
    {
        public bool Used { get; set; }
    }
}
