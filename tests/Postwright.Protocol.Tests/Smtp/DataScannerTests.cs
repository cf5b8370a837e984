using System.Text;
using Postwright.Protocol.Smtp;

namespace Postwright.Protocol.Tests.Smtp;

public sealed class DataScannerTests
{
    [Theory]
    [InlineData("a\r\n.\r\nrest", "a\r\n", "rest")]
    [InlineData(".\r\nrest", "", "rest")]
    [InlineData("..a\r\n.\r\n", ".a\r\n", "")]
    [InlineData(".a\r\n.\r\n", "a\r\n", "")]
    [InlineData("a\nb\r\n.\r\n", "a\r\nb\r\n", "")]
    [InlineData("a\n.\r\nb\r\n.\r\n", "a\r\nb\r\n", "")]
    [InlineData("a\r\n.\nb\r\n.\r\n", "a\r\nb\r\n", "")]
    [InlineData("a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\r\nb\r\n", "")]
    [InlineData("a\rb\r\n.\r\n", "a\rb\r\n", "")]
    [InlineData("\r\n\r\n.\r\n", "\r\n\r\n", "")]
    public void Strict_data_ends_at_CR_LF_dot_CR_LF_alone(string input, string content, string rest) => Check(input, content, rest, isStrict: true);

    [Theory]
    [InlineData("a\n.\nrest", "a\r\n", "rest")]
    [InlineData("a\r\n.\nrest", "a\r\n", "rest")]
    [InlineData("a\r\r\n.\r\r\nrest", "a\r\n", "rest")]
    public void Lenient_data_ends_at_any_dot_line(string input, string content, string rest) => Check(input, content, rest, isStrict: false);

    [Fact]
    public void Bytes_give_the_same_however_they_are_cut()
    {
        const string Alphabet = "\r\n.\r\n.ab";
        for (int seed = 1; seed <= 50_000; seed++)
        {
            Random random = new(seed);
            byte[] input = new byte[random.Next(1, 40)];
            for (int i = 0; i < input.Length; i++)
            {
                input[i] = (byte)Alphabet[random.Next(Alphabet.Length)];
            }

            bool isStrict = random.Next(2) == 0;
            input = [.. input, .. "\r\n.\r\n"u8];
            (byte[] whole, int wholeEnd) = Scan(input, isStrict, input.Length);
            (byte[] pieces, int piecesEnd) = Scan(input, isStrict, random.Next(1, 4));
            Assert.True(whole.AsSpan().SequenceEqual(pieces) && wholeEnd == piecesEnd, $"seed {seed}: {Show(input)}: {Show(whole)} / {Show(pieces)}");
        }
    }

    private static void Check(string input, string content, string rest, bool isStrict)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(input);
        for (int step = 1; step <= bytes.Length; step++)
        {
            (byte[] kept, int end) = Scan(bytes, isStrict, step);
            Assert.Equal(Show(Encoding.Latin1.GetBytes(content)), Show(kept));
            Assert.Equal(rest, Encoding.Latin1.GetString(bytes[end..]));
        }
    }

    // Gives the scanner the input as it would arrive in pieces of a length.
    private static (byte[] Content, int End) Scan(byte[] input, bool isStrict, int step)
    {
        DataScanner scanner = new(isStrict, hasDots: true);
        List<byte> kept = [];
        int start = 0;
        int arrived = 0;
        while (true)
        {
            DataPiece piece = start < arrived ? scanner.Next(input.AsSpan(start, arrived - start)) : default;
            kept.AddRange(input[(start + piece.Start)..(start + piece.Start + piece.Length)]);
            if (piece.AddsLineEnd)
            {
                kept.AddRange("\r\n"u8);
            }

            start += piece.Consumed;
            if (piece.IsEnd)
            {
                return ([.. kept], start);
            }

            if (piece.Consumed == 0)
            {
                Assert.True(arrived < input.Length, "the end was not found: " + Show(input));
                arrived = Math.Min(input.Length, arrived + step);
            }
        }
    }

    private static string Show(byte[] bytes) => Encoding.Latin1.GetString(bytes).Replace("\r", "\\r", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
