using System.Globalization;
using System.Text;
using Postwright.Server.Deliver;
using Postwright.Testing;

namespace Postwright.Server.Tests.Deliver;

public sealed class DelayTextTests
{
    [Fact]
    public void Delays_are_written_as_the_reference_cases_say()
    {
        Assert.SkipUnless(TestPrograms.TestData is not null, "the reference cases are not on this machine");
        string[] lines = File.ReadAllLines(Path.Combine(TestPrograms.TestData!, "postfix-vectors/util/format_tv.ref"));
        int cases = 0;
        for (int i = 0; i + 1 < lines.Length; i++)
        {
            string[] words = lines[i].TrimStart('>', ' ').Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (!lines[i].StartsWith(">> ") || words.Length != 3 || words[0] == "#")
            {
                continue;
            }

            TimeSpan delay = TimeSpan.FromTicks((long)(decimal.Parse(words[0], CultureInfo.InvariantCulture) * TimeSpan.TicksPerSecond));
            StringBuilder text = new();
            DelayText.Append(text, delay, int.Parse(words[1], CultureInfo.InvariantCulture), int.Parse(words[2], CultureInfo.InvariantCulture));
            Assert.Equal((lines[i], lines[i + 1]), (lines[i], text.ToString()));
            cases++;
        }

        Assert.True(cases > 40);
    }

    [Theory]
    [InlineData(0.004, "0")]
    [InlineData(0.006, "0.01")]
    [InlineData(0.3333, "0.33")]
    [InlineData(12.34, "12")]
    [InlineData(-5, "0")]
    public void The_log_shows_two_decimals_at_most(double seconds, string expected)
    {
        StringBuilder text = new();
        DelayText.Append(text, TimeSpan.FromSeconds(seconds), 2, 2);
        Assert.Equal(expected, text.ToString());
    }
}
