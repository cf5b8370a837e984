using System.Text;
using Postwright.Core.Configuration;
using Postwright.Testing;

namespace Postwright.Core.Tests.Configuration;

/// <summary>Postfix's own reference input and output for the macro language.</summary>
public sealed class MacroExpanderVectorTests
{
    [Fact]
    public void Every_expression_expands_as_Postfix_says()
    {
        Assert.SkipUnless(TestPrograms.TestData is not null, "the reference vectors are not here");
        string folder = Path.Combine(TestPrograms.TestData!, "postfix-vectors/util");
        string expected = File.ReadAllText(Path.Combine(folder, "mac_expand.ref"));

        Assert.Equal(expected, Run(File.ReadAllLines(Path.Combine(folder, "mac_expand.in"))));
    }

    /// <summary>Postfix's test driver: blocks of settings, an empty line, expressions, an empty line.</summary>
    private static string Run(string[] lines)
    {
        var output = new StringBuilder();
        int at = 0;
        while (at < lines.Length)
        {
            var names = new Dictionary<string, string>();
            for (; at < lines.Length; at++)
            {
                output.Append("<< ").Append(lines[at]).Append('\n');
                if (lines[at].Length == 0)
                {
                    at++;
                    break;
                }

                string[] pair = lines[at].Split('=', 2);
                names[pair[0].Trim()] = pair[1].Trim();
            }

            for (; at < lines.Length; at++)
            {
                output.Append("<< ").Append(lines[at]).Append('\n');
                if (lines[at].Length == 0)
                {
                    output.Append('\n');
                    at++;
                    break;
                }

                var warnings = new StringBuilder();
                MacroExpander.Result result = MacroExpander.Expand(
                    lines[at],
                    names.GetValueOrDefault,
                    text => warnings.Append("unknown: warning: ").Append(text).Append('\n'),
                    name => name == "test_named_fn" ? text => $"-=oO{text}Oo=-" : null);
                output.Append(warnings)
                    .Append("stat=").Append((result.Failed ? 1 : 0) + (result.Undefined ? 2 : 0))
                    .Append(" result=").Append(result.Text).Append('\n');
            }
        }

        return output.ToString();
    }
}
