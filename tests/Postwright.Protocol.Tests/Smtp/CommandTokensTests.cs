using System.Text;
using Postwright.Protocol.Smtp;
using Postwright.Testing;

namespace Postwright.Protocol.Tests.Smtp;

public sealed class CommandTokensTests
{
    [Theory]
    [InlineData("MAIL FROM:<a@b>", "MAIL|FROM:|<a@b>")]
    [InlineData("mail from: <a@b> SIZE=1", "mail|from:|<a@b>|SIZE=1")]
    [InlineData("RCPT TO:<\"a b\"@c> x", "RCPT|TO:|<\"a b\"@c>|x")]
    [InlineData("RCPT TO:<a <b> c> x", "RCPT|TO:|<a <b> c>|x")]
    [InlineData("NOOP a\\ b", "NOOP|a\\ b")]
    [InlineData("  NOOP\t\tx ", "NOOP|x")]
    [InlineData("FOO:BAR", "FOO:BAR")]
    [InlineData("", "")]
    [InlineData("NOOP\0x", "NOOP")]
    public void Lines_are_cut_into_words(string line, string words) => Assert.Equal(words, string.Join('|', Words(line)));

    [Theory]
    [InlineData("MAIL FROM:<a@b", true)]
    [InlineData("MAIL FROM:<\"a@b>", true)]
    [InlineData("MAIL FROM:<a@b>", false)]
    [InlineData("MAIL FROM:<a@b\\>", true)]
    public void An_open_bracket_or_quote_is_told(string line, bool isBroken)
    {
        CommandTokens tokens = new();
        tokens.Parse(Encoding.Latin1.GetBytes(line));
        Assert.Equal(isBroken, tokens[2].IsBroken);
    }

    [Fact]
    public void Any_bytes_give_words_within_the_line()
    {
        const string Alphabet = "MAIL FROM:<>\"\\ \t:@.,;()[]ab\0\xff\r\n";
        CommandTokens tokens = new();
        FuzzTime fuzz = new(3_000_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] line = new byte[random.Next(0, 80)];
            for (int i = 0; i < line.Length; i++)
            {
                line[i] = random.Next(4) == 0 ? (byte)random.Next(256) : (byte)Alphabet[random.Next(Alphabet.Length)];
            }

            tokens.Parse(line);
            int end = 0;
            for (int i = 0; i < tokens.Count; i++)
            {
                Assert.True(tokens[i].Start >= end && tokens[i].Length > 0, $"seed {seed}");
                end = tokens[i].Start + tokens[i].Length;
                SmtpPath.TryParse(tokens.Slice(line, i), random.Next(2) == 0, out _);
                Xtext.TryDecode(tokens.Slice(line, i), out _);
                SmtpVerbs.Parse(tokens.Slice(line, i));
            }

            Assert.True(end <= line.Length, $"seed {seed}");
        }
    }

    private static List<string> Words(string line)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(line);
        CommandTokens tokens = new();
        tokens.Parse(bytes);
        List<string> words = [];
        for (int i = 0; i < tokens.Count; i++)
        {
            words.Add(Encoding.Latin1.GetString(tokens.Slice(bytes, i)));
        }

        return words;
    }
}
