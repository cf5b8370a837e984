using System.Text;
using CsCheck;
using Postwright.Protocol.Mail;
using Postwright.Testing;

namespace Postwright.Protocol.Tests.Mail;

public class AddressListTests
{
    [Theory]
    [InlineData("a@b", "a@b")]
    [InlineData("a b@c", "a|b@c")]
    [InlineData("Joe User <joe@x.org>, (comment) mary@y.org (Mary)", "joe@x.org|mary@y.org")]
    [InlineData("undisclosed-recipients:;", "")]
    [InlineData("team: a@b, c@d;, e@f", "a@b|c@d|e@f")]
    [InlineData("<>", "")]
    [InlineData("\"odd \\\"one\"@x.org", "odd \"one@x.org")]
    [InlineData("a@b\n\t, c@d", "a@b|c@d")]
    [InlineData("\\", "")]
    [InlineData("host!user%relay@x", "host!user%relay@x")]
    public void Addresses_are_found_in_order(string list, string expected) =>
        Assert.Equal(expected, string.Join('|', AddressList.Addresses(list)));

    [Fact]
    public void Tokens_beyond_the_limit_are_not_read() =>
        Assert.Equal(["a@b"], AddressList.Addresses("a@b, c@d, e@f", tokenLimit: 4));

    [Theory]
    [InlineData("joe@x", "joe@x")]
    [InlineData("joe user@x", "\"joe user\"@x")]
    [InlineData(".joe@x", "\".joe\"@x")]
    [InlineData("a\"b@x", "\"a\\\"b\"@x")]
    [InlineData("", "")]
    [InlineData("jörg@x", "jörg@x")]
    public void Quoting_gives_the_external_form(string internalForm, string expected) =>
        Assert.Equal(expected, AddressText.ToExternal(internalForm));

    [Fact]
    public void Any_text_is_read_without_a_failure() =>
        Gen.String[Gen.Char["ab@<>(),;:\\\"[]. \t\n%!|é\0"], 0, 40].Try(static text =>
        {
            AddressList.Externalize(AddressList.Parse(text));
            AddressList.Internalize(AddressList.Parse(text));
        }, count: 5000);

    [Fact]
    public void Postfix_vectors_give_Postfix_trees_and_texts()
    {
        Assert.SkipUnless(TestPrograms.TestData is not null, "needs ../shared/testdata");
        string file = Path.Combine(TestPrograms.TestData!, "postfix-vectors/global/tok822_parse.ref");
        string[] cases = File.ReadAllText(file, Encoding.Latin1).Split(">>>", StringSplitOptions.RemoveEmptyEntries);
        int compared = 0;
        foreach (string one in cases)
        {
            int end = one.IndexOf("<<<\n", StringComparison.Ordinal);
            string input = one[..end];
            string tree = Section(one, "Parse tree:\n");
            IReadOnlyList<AddressToken> tokens = AddressList.Parse(input);
            Assert.Equal(tree, Tree(tokens, 1));
            Assert.Equal(Section(one, "Internalized:\n").TrimEnd('\n'), AddressList.Internalize(tokens));
            if (!one.Contains("stripping too many comments", StringComparison.Ordinal))
            {
                Assert.Equal(Section(one, "no newlines inserted:\n").TrimEnd('\n'), AddressList.Externalize(tokens));
                Assert.Equal(Section(one, "Externalized, newlines inserted:\n").TrimEnd('\n'), AddressList.Externalize(tokens, breakLines: true));
            }

            compared++;
        }

        Assert.True(compared >= 15, $"only {compared} vectors");
    }

    private static string Section(string one, string title)
    {
        int start = one.IndexOf(title, StringComparison.Ordinal) + title.Length;
        int end = one.IndexOf("\n\n", start, StringComparison.Ordinal);
        return end < 0 ? one[start..] : one[start..(end + 1)];
    }

    private static string Tree(IReadOnlyList<AddressToken> tokens, int indent)
    {
        var text = new StringBuilder();
        foreach (AddressToken token in tokens)
        {
            text.Append(' ', indent).Append(token.Kind switch
            {
                AddressTokenKind.Address => "address",
                AddressTokenKind.Atom => $"atom \"{token.Text}\"",
                AddressTokenKind.QuotedString => $"quoted string \"{token.Text}\"",
                AddressTokenKind.DomainLiteral => $"domain literal \"{token.Text}\"",
                AddressTokenKind.Comment => $"comment \"{token.Text}\"",
                AddressTokenKind.GroupStart => "group \":\"",
                _ => $"OP \"{token.Text}\"",
            }).Append('\n').Append(Tree(token.Parts, indent + 2));
        }

        return text.ToString();
    }
}
