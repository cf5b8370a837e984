using System.Text;
using CsCheck;
using Postwright.Protocol.Smtp;
using Postwright.Testing;

namespace Postwright.Protocol.Tests.Smtp;

public sealed class DataEncoderTests
{
    [Theory]
    [InlineData("", ".\r\n")]
    [InlineData("a\r\n", "a\r\n.\r\n")]
    [InlineData("a", "a\r\n.\r\n")]
    [InlineData(".\r\n..\r\n", "..\r\n...\r\n.\r\n")]
    [InlineData("a\r\n.b.\r\n", "a\r\n..b.\r\n.\r\n")]
    public void Dots_are_stuffed_and_the_end_is_marked(string content, string expected) => Assert.Equal(expected, Encode(content, 998, int.MaxValue));

    [Fact]
    public void A_long_line_is_broken_with_a_blank()
    {
        Assert.Equal("abcd\r\n efg\r\n hi\r\n.\r\n", Encode("abcdefghi\r\n", 4, int.MaxValue));
        Assert.Equal("abcd\r\n.\r\n", Encode("abcd\r\n", 4, int.MaxValue));
    }

    [Fact]
    public void Where_the_input_is_cut_makes_no_difference() =>
        Gen.Select(Gen.Char[".ab\r\n"].Array[0, 60], Gen.Int[1, 7], Gen.Int[0, 6]).Try(input =>
        {
            (char[] characters, int cut, int limit) = input;
            string content = new string(characters).Replace("\r", "", StringComparison.Ordinal).Replace("\n", "\r\n", StringComparison.Ordinal);
            int lineLimit = limit < 3 ? 0 : limit;
            return Encode(content, lineLimit, cut) == Encode(content, lineLimit, int.MaxValue) || (lineLimit > 0 && Unbroken(Encode(content, lineLimit, cut)) == Unbroken(Encode(content, lineLimit, int.MaxValue)));
        }, count: 2000);

    [Fact]
    public void No_content_line_can_be_taken_for_the_end() =>
        Gen.Char[".a\n"].Array[0, 40].Try(characters =>
        {
            string encoded = Encode(new string(characters).Replace("\n", "\r\n", StringComparison.Ordinal), 998, 3);
            return ("\r\n" + encoded).IndexOf("\r\n.\r\n", StringComparison.Ordinal) == encoded.Length - 3;
        }, count: 2000);

    // A line cut between CR and LF may be broken one byte earlier; what a reader unfolds is the same.
    private static string Unbroken(string text) => text.Replace("\r\n ", "", StringComparison.Ordinal);

    private static string Encode(string content, int lineLimit, int cut)
    {
        DataEncoder encoder = new(lineLimit);
        StringBuilder result = new();
        byte[] bytes = Encoding.Latin1.GetBytes(content);
        byte[] output = new byte[DataEncoder.MaxEncoded(bytes.Length) + 5];
        for (int at = 0; at < bytes.Length;)
        {
            int count = Math.Min(cut, bytes.Length - at);
            result.Append(Encoding.Latin1.GetString(output, 0, encoder.Encode(bytes.AsSpan(at, count), output)));
            at += count;
        }

        return result.Append(Encoding.Latin1.GetString(output, 0, encoder.Finish(output))).ToString();
    }
}
